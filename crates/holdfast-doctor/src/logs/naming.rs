//! What the path of a log tells: the host, the program that wrote it, and the date. Without a look into the file.

use holdfast_types::terminal::clean;

use super::gather::Source;
use super::stamp::day_of;

/// What a path tells.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Named {
    /// The directory above the logs of a program, if its name says something.
    pub host: Option<String>,
    /// The program, by the name of its directory or by the number in a unified log's name.
    pub program: Option<&'static str>,
    /// The day, counted from 1970.
    pub day: Option<i64>,
}

/// Directories of programs that write debug logs.
const PROGRAMS: &[&str] = &[
    "admin",
    "bpbackup",
    "bpbkar",
    "bpbrm",
    "bpcd",
    "bpdbm",
    "bpdm",
    "bpfis",
    "bpjobd",
    "bprd",
    "bptestbpcd",
    "bptm",
    "dbclient",
    "nbemm",
    "nbjm",
    "nbpem",
    "nbrb",
    "tar",
    "vnetd",
];

/// Originators of unified logs.
const ORIGINATORS: &[(&str, &str)] = &[("111", "nbemm"), ("116", "nbpem"), ("117", "nbjm"), ("118", "nbrb")];

/// The product in the names of unified logs.
const PRODUCT: &str = "51216";

/// Directories whose names are no host's.
const PLACES: &[&str] = &[
    "logs",
    "log",
    "netbackup",
    "openv",
    "usr",
    "veritas",
    "debug",
    "tmp",
    "var",
    "home",
    "opt",
    "user_ops",
];

/// What the path says. The last part is the file; parts are separated by `/` or `\`.
#[must_use]
pub fn read(path: &str) -> Named {
    let parts: Vec<&str> = path.split(['/', '\\']).filter(|part| !part.is_empty() && *part != ".").collect();
    let Some((file, directories)) = parts.split_last() else { return Named::default() };
    // In the product's own directory of logs, every directory is a program's, also of one that is not known here.
    let of_product = || {
        let is_product =
            |pair: &[&str]| pair[0].eq_ignore_ascii_case("netbackup") && pair[1].eq_ignore_ascii_case("logs");
        directories.windows(2).rposition(is_product).map(|at| at + 2)
    };
    let place = directories
        .iter()
        .rposition(|part| program(part).is_some())
        .or_else(|| of_product().filter(|at| *at < directories.len()));
    let above = &directories[..place.unwrap_or(directories.len())];
    let host = above.iter().rev().find(|part| {
        let lower = part.to_ascii_lowercase();
        **part != ".." && !PLACES.contains(&lower.as_str())
    });
    let stem = file.split(['.', '_', '-']).find_map(program);
    Named {
        // It stands in every sentence about the host: nothing in it may look like lines of the report's own.
        host: host.map(|part| clean(part)),
        program: place.and_then(|at| program(directories[at])).or_else(|| originator(file)).or(stem),
        day: day(file),
    }
}

/// Gives files without a day the day of the others, if these have all the same one.
pub fn assume_day(sources: &mut [Source]) {
    let mut days = sources.iter().filter_map(|source| source.day);
    let Some(day) = days.next().filter(|day| days.all(|other| other == *day)) else { return };
    for source in sources.iter_mut().filter(|source| source.day.is_none()) {
        source.day = Some(day);
        source.is_day_assumed = true;
    }
}

fn program(word: &str) -> Option<&'static str> {
    PROGRAMS.iter().find(|name| name.eq_ignore_ascii_case(word)).copied()
}

fn originator(file: &str) -> Option<&'static str> {
    let rest = file.strip_prefix(PRODUCT)?.strip_prefix('-')?;
    let number = rest.split('-').next()?;
    ORIGINATORS.iter().find(|(one, _)| *one == number).map(|(_, name)| *name)
}

/// `log.MMDDYY`, `root.MMDDYY_00001.log`, `MMDDYY.LOG`, `51216-117-HOST-YYMMDD-0000000000.log`, or with all of the year.
fn day(file: &str) -> Option<i64> {
    let is_unified = file.starts_with(PRODUCT) && file.len() > PRODUCT.len();
    let runs: Vec<&str> = file.split(|character: char| !character.is_ascii_digit()).collect();
    let six = runs.iter().filter(|run| run.len() == 6).find_map(|run| {
        let (a, b, c) = (number(&run[..2])?, number(&run[2..4])?, number(&run[4..])?);
        if is_unified { day_of(2000 + a, b, c) } else { day_of(2000 + c, a, b) }
    });
    let eight = || {
        runs.iter()
            .filter(|run| run.len() == 8 && run.starts_with("20"))
            .find_map(|run| day_of(number(&run[..4])?, number(&run[4..6])?, number(&run[6..])?))
    };
    let spelled = || {
        runs.windows(3)
            .filter(|three| three[0].len() == 4 && three[0].starts_with("20"))
            .find_map(|three| day_of(number(three[0])?, number(three[1])?, number(three[2])?))
    };
    six.or_else(eight).or_else(spelled)
}

fn number(digits: &str) -> Option<u32> {
    digits.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_without_a_day_has_that_of_the_others_if_they_agree() {
        let days = |days: &[Option<i64>]| {
            let mut sources: Vec<Source> =
                days.iter().map(|day| Source { day: *day, ..Source::default() }).collect();
            assume_day(&mut sources);
            sources.iter().map(|source| source.day).collect::<Vec<_>>()
        };
        assert_eq!(days(&[None, Some(4), Some(4)]), [Some(4); 3]);
        assert_eq!(days(&[None, Some(4), Some(5)]), [None, Some(4), Some(5)]);
        assert_eq!(days(&[None]), [None]);
    }

    #[test]
    fn paths_tell_host_program_and_day() {
        let third = day_of(2011, 6, 3);
        for (path, host, program, day) in [
            ("/tmp/logs/media1/bpbrm/log.060311", Some("media1"), Some("bpbrm"), third),
            ("case/media1/netbackup/logs/bpcd/root.060311_00001.log", Some("media1"), Some("bpcd"), third),
            ("client7\\NetBackup\\logs\\BPCD\\060311.LOG", Some("client7"), Some("bpcd"), third),
            ("m/51216-117-2201360136-110603-0000000000.log", Some("m"), Some("nbjm"), third),
            ("bpcd/log.060311.gz", None, Some("bpcd"), third),
            ("vnetd.txt", None, Some("vnetd"), None),
            ("a/job_2011-06-03.txt", Some("a"), None, third),
            ("a/20110603.txt", Some("a"), None, third),
            ("log.139911", None, None, None),
            ("", None, None, None),
            ("media1/netbackup/logs/bpduplicate/log.060311", Some("media1"), None, third),
            ("C7\\NetBackup\\Logs\\nbproxy\\060311.LOG", Some("C7"), None, third),
            ("client7/netbackup/logs/x.log", Some("client7"), None, None),
            ("logs/media1/all.log", Some("media1"), None, None),
            ("a\nDo: y/bpcd/log.060311", Some("a?Do: y"), Some("bpcd"), third),
        ] {
            let named = read(path);
            assert_eq!((named.host.as_deref(), named.program, named.day), (host, program, day), "{path}");
        }
    }
}
