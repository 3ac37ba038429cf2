//! The kinds of findings, and what each means whatever the evidence: the text of `holdfast doctor explain`. Each examination
//! lists its own, beside its rules; a finding's own words are the rule's.

/// A kind of finding.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Code {
    /// Its stable name, as in [`Finding::code`](crate::finding::Finding::code).
    pub name: &'static str,
    /// One line that says it.
    pub title: &'static str,
    /// What it is, how it comes about and what it leads to, in a few sentences.
    pub meaning: &'static str,
    /// What to do about it in general.
    pub action: &'static str,
}

/// All kinds of all examinations.
pub fn all() -> impl Iterator<Item = &'static Code> {
    LISTS.iter().copied().flatten()
}

/// The kind of this name.
#[must_use]
pub fn find(name: &str) -> Option<&'static Code> {
    all().find(|code| code.name == name)
}

/// One list for each examination.
const LISTS: &[&[Code]] = &[
    crate::connect::codes::CODES,
    crate::idle::codes::CODES,
    crate::keepalive::CODES,
    crate::logs::CODES,
    crate::matrix::CODES,
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_can_be_typed() {
        let mut names: Vec<_> = all().map(|code| code.name).collect();
        for name in &names {
            assert!(
                name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-'),
                "{name}"
            );
        }
        names.sort_unstable();
        assert!(names.is_sorted_by(|a, b| a < b), "twice: {names:?}");
    }
}
