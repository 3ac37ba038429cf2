//! Which images keep rules keep. Pure: takes images and a time zone, gives verdicts; deleting is the command's.
//!
//! Images are grouped by host, paths, label and, in a site, the policy that they were made for; each group is judged by itself:
//! what a client makes of its own accord cannot push out what a policy has made. A rule keeps the newest image of each
//! of the newest N periods that have one. An image that any rule keeps is kept. If everything that is kept is incomplete, the
//! newest complete image is kept too: rules that only count would drop the last good one after a few bad nights.

use std::collections::HashMap;

use holdfast_format::record::ImageRecord;
use holdfast_types::ImageId;
use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;

/// How many to keep of each kind; 0 is no rule.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Rules {
    /// The newest.
    pub(crate) last: usize,
    /// One of each day.
    pub(crate) daily: usize,
    /// One of each week, which begins on Monday.
    pub(crate) weekly: usize,
    /// One of each month.
    pub(crate) monthly: usize,
    /// One of each year.
    pub(crate) yearly: usize,
}

impl Rules {
    /// Whether no rule keeps anything.
    pub(crate) fn keep_nothing(&self) -> bool {
        *self == Self::default()
    }
}

/// An image, as far as rules look at it.
#[derive(Clone, Debug)]
pub(crate) struct Candidate {
    /// The image.
    pub(crate) image: ImageId,
    /// Those with the same are judged together: host, label, policy, paths.
    pub(crate) group: (String, String, Option<String>, Vec<Vec<u8>>),
    /// When it was begun, in milliseconds since 1970 UTC.
    pub(crate) started_millis: u64,
    /// All could be read.
    pub(crate) is_complete: bool,
}

impl Candidate {
    /// Of a vault.
    pub(crate) fn of(record: &ImageRecord) -> Self {
        Self {
            image: record.image,
            group: (record.host.clone(), record.name.clone(), None, record.roots.clone()),
            started_millis: record.started_millis,
            is_complete: record.counts.errors == 0,
        }
    }
}

/// What becomes of an image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Verdict {
    /// The image.
    pub(crate) image: ImageId,
    /// The rules that keep it; none, and it goes.
    pub(crate) kept_by: Vec<&'static str>,
}

/// The period of the calendar that a day is in, as numbers that are the same for all its days.
type Period = fn(Date) -> (i16, i16);

/// Judges images, in any order; the verdicts are in the same order. Rules that keep nothing must not come here.
pub(crate) fn judge(images: &[Candidate], rules: &Rules, zone: &TimeZone) -> Vec<Verdict> {
    debug_assert!(!rules.keep_nothing());
    let mut groups: HashMap<_, Vec<usize>> = HashMap::new();
    for (at, image) in images.iter().enumerate() {
        groups.entry(&image.group).or_default().push(at);
    }
    let mut kept_by: Vec<Vec<&'static str>> = vec![Vec::new(); images.len()];
    for mut group in groups.into_values() {
        // Of images of the same millisecond the order is that of their ids, as in every list.
        group.sort_unstable_by_key(|at| std::cmp::Reverse((images[*at].started_millis, images[*at].image)));
        judge_group(images, &group, rules, zone, &mut kept_by);
        keep_a_complete_one(images, &group, &mut kept_by);
    }
    images.iter().zip(kept_by).map(|(image, kept_by)| Verdict { image: image.image, kept_by }).collect()
}

fn judge_group(
    images: &[Candidate],
    newest_first: &[usize],
    rules: &Rules,
    zone: &TimeZone,
    kept_by: &mut [Vec<&'static str>],
) {
    for at in newest_first.iter().take(rules.last) {
        kept_by[*at].push("last");
    }
    let periods: [(usize, &'static str, Period); 4] = [
        (rules.daily, "daily", |date| (date.year(), date.day_of_year())),
        (rules.weekly, "weekly", |date| (date.iso_week_date().year(), date.iso_week_date().week().into())),
        (rules.monthly, "monthly", |date| (date.year(), date.month().into())),
        (rules.yearly, "yearly", |date| (date.year(), 0)),
    ];
    for (count, name, period) in periods {
        let (mut left, mut last) = (count, None);
        for at in newest_first {
            let this = Some(period(date_of(images[*at].started_millis, zone)));
            if left > 0 && last != this {
                kept_by[*at].push(name);
                left -= 1;
                last = this;
            }
        }
    }
}

fn keep_a_complete_one(images: &[Candidate], newest_first: &[usize], kept_by: &mut [Vec<&'static str>]) {
    let complete = |at: &&usize| images[**at].is_complete;
    if let Some(newest) = newest_first.iter().find(complete)
        && newest_first.iter().filter(complete).all(|at| kept_by[*at].is_empty())
    {
        kept_by[*newest].push("complete");
    }
}

fn date_of(millis: u64, zone: &TimeZone) -> Date {
    let time = i64::try_from(millis).ok().and_then(|millis| Timestamp::from_millisecond(millis).ok());
    zone.to_datetime(time.unwrap_or(Timestamp::MAX)).date()
}

#[cfg(test)]
mod tests {
    use super::*;
    use holdfast_types::{Counts, JobId};
    use proptest::prelude::*;

    fn image(millis: u64, host: &str, name: &str, root: &str) -> ImageRecord {
        let random = (millis % 251).to_le_bytes();
        let mut seed = [0; 10];
        seed[..8].copy_from_slice(&random);
        seed[8] = u8::try_from(host.len() * 16 + name.len()).unwrap();
        seed[9] = u8::try_from(root.len()).unwrap();
        let job = JobId::at_millis(millis, seed);
        ImageRecord {
            image: job.image_id(),
            job,
            name: name.into(),
            host: host.into(),
            started_millis: millis,
            finished_millis: millis,
            roots: vec![root.as_bytes().to_vec()],
            excludes: Vec::new(),
            manifest: None,
            counts: Counts::default(),
            faults: Vec::new(),
            parent: None,
            program: String::new(),
        }
    }

    fn millis(local: &str, zone: &TimeZone) -> u64 {
        let time: jiff::civil::DateTime = local.parse().unwrap();
        time.to_zoned(zone.clone()).unwrap().timestamp().as_millisecond().try_into().unwrap()
    }

    fn judge(images: &[ImageRecord], rules: &Rules, zone: &TimeZone) -> Vec<Verdict> {
        super::judge(&images.iter().map(Candidate::of).collect::<Vec<_>>(), rules, zone)
    }

    /// Times of images of one group (local), rules, and the rules that keep each.
    #[track_caller]
    fn check(rules: Rules, expected: &[(&str, &[&str])]) {
        let zone = TimeZone::get("Europe/Berlin").unwrap();
        let images: Vec<_> =
            expected.iter().map(|(time, _)| image(millis(time, &zone), "h", "n", "/")).collect();
        for (verdict, (time, kept_by)) in judge(&images, &rules, &zone).iter().zip(expected) {
            assert_eq!(verdict.kept_by, *kept_by, "{time}");
        }
    }

    const NONE: Rules = Rules { last: 0, daily: 0, weekly: 0, monthly: 0, yearly: 0 };

    #[test]
    fn days_are_those_of_the_time_zone() {
        check(
            Rules { daily: 2, ..NONE },
            &[
                ("2026-11-20 12:00", &[]),
                ("2026-11-22 00:10", &[]),
                // Late in the evening here, the next day in UTC or not: it is this day.
                ("2026-11-22 23:50", &["daily"]),
                ("2026-11-23 00:10", &["daily"]),
            ],
        );
    }

    #[test]
    fn weeks_begin_on_monday_and_years_do_not_cut_them() {
        check(
            Rules { weekly: 2, ..NONE },
            &[
                ("2026-12-27 12:00", &["weekly"]),
                // The week of Monday, 28 December to Sunday, 3 January.
                ("2026-12-28 12:00", &[]),
                ("2027-01-03 12:00", &["weekly"]),
            ],
        );
    }

    #[test]
    fn rules_add_up() {
        check(
            Rules { last: 1, monthly: 2, yearly: 2, ..NONE },
            &[
                ("2025-02-01 12:00", &[]),
                ("2025-12-31 12:00", &["yearly"]),
                ("2026-09-01 12:00", &[]),
                ("2026-10-01 12:00", &["monthly"]),
                ("2026-11-01 12:00", &[]),
                ("2026-11-02 12:00", &["last", "monthly", "yearly"]),
            ],
        );
    }

    #[test]
    fn the_last_complete_one_stays() {
        let complete = |errors: &[u64]| {
            let images: Vec<_> = (0..)
                .zip(errors)
                .map(|(at, errors)| {
                    let mut image = image(1_000_000 + at, "h", "n", "/");
                    image.counts.errors = *errors;
                    image
                })
                .collect();
            let verdicts = judge(&images, &Rules { last: 1, ..NONE }, &TimeZone::UTC);
            verdicts.iter().map(|verdict| verdict.kept_by.join("+")).collect::<Vec<_>>()
        };
        assert_eq!(complete(&[0, 0, 2, 1]), ["", "complete", "", "last"]);
        assert_eq!(complete(&[0, 1, 0]), ["", "", "last"]);
        assert_eq!(complete(&[3, 1]), ["", "last"]);
    }

    #[test]
    fn hosts_paths_and_names_are_apart() {
        let groups = [("h", "n", "/"), ("hh", "n", "/"), ("h", "nn", "/"), ("h", "n", "/r")];
        let images: Vec<_> =
            groups.iter().map(|(host, name, root)| image(1_000_000, host, name, root)).collect();
        let verdicts = judge(&images, &Rules { last: 1, ..NONE }, &TimeZone::UTC);
        assert!(verdicts.iter().all(|verdict| verdict.kept_by == ["last"]));
    }

    #[test]
    fn what_a_client_has_asked_for_pushes_out_nothing_of_a_policys() {
        let images =
            [1_000_000, 1_000_001, 1_000_002].map(|millis| Candidate::of(&image(millis, "h", "n", "/")));
        let [mut first, second, third] = images;
        first.group.2 = Some("n".into());
        let verdicts = super::judge(&[first, second, third], &Rules { last: 1, ..NONE }, &TimeZone::UTC);
        let kept: Vec<_> = verdicts.iter().map(|verdict| verdict.kept_by.join("+")).collect();
        assert_eq!(kept, ["last", "", "last"]);
    }

    fn any_rules() -> impl Strategy<Value = Rules> {
        (0usize..5, 0usize..5, 0usize..5, 0usize..5, 0usize..5)
            .prop_map(|(last, daily, weekly, monthly, yearly)| Rules { last, daily, weekly, monthly, yearly })
            .prop_filter("rules that keep nothing are refused before", |rules| !rules.keep_nothing())
    }

    proptest! {
        #[test]
        fn what_must_hold_for_all_images_and_rules(
            hours in proptest::collection::hash_set(0u64..20_000, 1..60),
            rules in any_rules(),
        ) {
            let zone = TimeZone::get("America/New_York").unwrap();
            let start = 1_700_000_000_000;
            let images: Vec<_> = hours.iter().map(|hour| image(start + hour * 3_600_000, "h", "n", "/")).collect();
            let verdicts = judge(&images, &rules, &zone);
            let newest = images.iter().zip(&verdicts).max_by_key(|(image, _)| image.started_millis).unwrap();
            prop_assert!(!newest.1.kept_by.is_empty(), "the newest always stays");
            let counts = [
                ("last", rules.last), ("daily", rules.daily), ("weekly", rules.weekly),
                ("monthly", rules.monthly), ("yearly", rules.yearly),
            ];
            for (name, count) in counts {
                let kept = verdicts.iter().filter(|verdict| verdict.kept_by.contains(&name)).count();
                prop_assert!(kept <= count);
                prop_assert!(name != "last" || kept == count.min(images.len()));
            }
            // One image a day, and the newest of it.
            for (a, kept) in images.iter().zip(&verdicts).filter(|(_, verdict)| verdict.kept_by.contains(&"daily")) {
                let day = date_of(a.started_millis, &zone);
                let newer = images.iter().any(|b| {
                    b.started_millis > a.started_millis && date_of(b.started_millis, &zone) == day
                });
                prop_assert!(!newer, "{kept:?}");
            }
            // The order of the list does not matter.
            let mut reversed = images.clone();
            reversed.reverse();
            let mut again = judge(&reversed, &rules, &zone);
            again.reverse();
            prop_assert_eq!(&again, &verdicts);
            // More to keep keeps more.
            let more = judge(&images, &Rules { daily: rules.daily + 1, ..rules }, &zone);
            let lost = verdicts.iter().zip(&more).any(|(a, b)| !a.kept_by.is_empty() && b.kept_by.is_empty());
            prop_assert!(!lost);
        }
    }
}
