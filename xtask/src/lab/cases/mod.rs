//! The cases, a file per theme. To add one, add it to its file's table; docs/lab.md says more.
//!
//! | file | question |
//! |---|---|
//! | [`routes`] | which route wins, how soon, and what is said of those that lose? |
//! | [`silence`] | are connections that die without a word found out, and living ones left alone? |
//! | [`outages`] | does a stream go on after its path broke, and how soon? |
//! | [`processes`] | what if a process stands still, dies, does not read, stops? |
//! | [`load`] | what if there are many? |
//! | [`itself`] | does the lab's router do what the other cases rest on? |

mod itself;
mod load;
mod outages;
mod processes;
mod routes;
mod silence;

use super::case::Case;

/// All cases, in the order of the table of docs/network.md.
pub(super) fn all() -> impl Iterator<Item = &'static Case> {
    let tables =
        [routes::CASES, silence::CASES, outages::CASES, processes::CASES, load::CASES, itself::CASES];
    tables.into_iter().flatten()
}

#[cfg(test)]
mod tests {
    use super::super::case::Column;
    use super::*;

    #[test]
    fn names_are_unique_and_comparisons_stand_beside_a_case() {
        let names: Vec<&str> = all().map(|case| case.name).collect();
        for (at, case) in all().enumerate() {
            assert!(!names[..at].contains(&case.name), "{} twice", case.name);
            assert_eq!(case.column.is_comparison(), case.name.contains('.'), "{}", case.name);
            let row = all().find(|other| other.name == case.row());
            assert!(row.is_some_and(|row| !row.column.is_comparison()), "{} stands alone", case.name);
            assert!(case.column != Column::Plain || case.name.ends_with(".plain"), "{}", case.name);
        }
    }
}
