//! The process helpers, tried on the shell.

use std::io::ErrorKind;

use holdfast_testkit::Program;

fn shell() -> Program {
    Program::new("/bin/sh").unwrap()
}

#[test]
fn output_and_status_are_caught() {
    let outcome =
        shell().run(["-c", "echo out; echo '{\"files\": 3}'; echo err >&2; exit 7"]).unwrap().assert_code(7);
    assert_eq!(outcome.json().unwrap()["files"], 3);
    assert_eq!(outcome.text(), "out\n{\"files\": 3}\n");
    assert_eq!(outcome.stderr, "err\n");
}

#[test]
#[should_panic(expected = "standard error:\nbad things")]
fn a_failure_shows_what_was_printed() {
    shell().run(["-c", "echo bad things >&2; exit 3"]).unwrap().assert_ok();
}

#[test]
fn what_is_no_json_is_an_error() {
    assert!(shell().run(["-c", "echo no"]).unwrap().json().is_err());
    assert!(shell().run(["-c", ":"]).unwrap().json().is_err());
}

#[test]
fn the_state_directory_is_its_own_and_goes_away() {
    let program = shell().env("HOLDFAST_EXTRA", "yes");
    let outcome = program.run(["-c", "echo $HOLDFAST_STATE_DIR $HOLDFAST_EXTRA"]).unwrap().assert_ok();
    let state = program.state().to_owned();
    assert_eq!(outcome.text(), format!("{} yes\n", state.display()));
    assert_ne!(state, shell().state());
    drop(program);
    assert!(!state.exists());
}

#[test]
fn it_is_killed_at_the_line() {
    let running =
        shell().start(["-c", "echo one >&2; echo two >&2; read forever < /dev/zero; cat /dev/zero"]).unwrap();
    let outcome = running.kill_at(|line| line == "two").unwrap();
    assert_eq!((outcome.code(), outcome.stderr.as_str()), (-9, "one\ntwo\n"));
}

#[test]
fn a_line_that_never_comes_is_an_error() {
    let error = shell().start(["-c", "echo one >&2"]).unwrap().kill_at(|line| line == "two").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Other);
    assert!(error.to_string().contains("one"), "{error}");
}
