//! Streams that close, and colours.

use crate::support::Home;

#[test]
fn a_reader_that_goes_is_no_error() {
    let home = Home::new();
    for arguments in [&["render"][..], &["--help"], &["up", "--help"]] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let output = home.command(&[arguments, &["--quiet"]].concat()).stdout(writer).output().unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!((output.status.code(), stderr.as_str()), (Some(0), ""), "{arguments:?}");
    }
}

#[test]
fn colour_is_for_terminals() {
    let home = Home::new();
    for arguments in [&["--help"][..], &["up", "Flink"], &["up"], &["render"]] {
        assert!(!home.run(arguments).contains('\u{1b}'), "{arguments:?}");
    }
}
