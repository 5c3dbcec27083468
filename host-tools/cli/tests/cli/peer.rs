//! `mote peer`: hands everything over to `mote-peer`, or tells how to get it.

use crate::support::*;

#[cfg(unix)]
#[test]
fn arguments_and_exit_code_are_those_of_the_program() {
    use std::os::unix::fs::PermissionsExt;
    let folder = Folder::new();
    let program = folder.file("mote-peer", "#!/bin/sh\necho \"$@\"\nexit 7\n");
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
    let answer = mote_in(&folder, &["peer", "--join", "TICKET", "--help", "--json"]);
    assert_eq!((answer.code, answer.stdout.trim()), (7, "--join TICKET --help --json"), "{}", answer.stderr);
}

#[test]
fn without_the_program_one_is_told_how_to_get_it() {
    let answer = mote_in(&Folder::new(), &["peer", "--json"]);
    let error = answer.error(1, "input");
    assert_eq!(error["where"], "mote-peer");
    assert!(error["help"].as_str().unwrap().contains("cargo install"), "{error:#}");
}
