use kube::core::Status;

use super::*;

fn problem(object: &str, reason: &str, terminal: bool, grace: u64) -> Problem {
    Problem {
        object: object.into(),
        reason: reason.into(),
        message: String::new(),
        hint: String::new(),
        terminal,
        grace: Duration::from_secs(grace),
    }
}

#[test]
fn one_problem_stands_for_all_of_its_kind() {
    let problems = [
        problem("pod/a", "Unschedulable", true, 1),
        problem("pod/b", "Unschedulable", true, 1),
        problem("pod/c", "X", false, 0),
    ];
    let objects: Vec<_> = distinct(problems.iter()).iter().map(|problem| problem.object.as_str()).collect();
    assert_eq!(objects, ["pod/a", "pod/c"]);
}

#[test]
fn a_refusal_is_not_transient() {
    let api = |code| kube::Error::Api(Status::failure("x", "X").with_code(code).boxed());
    assert!(is_transient(&api(503)) && is_transient(&api(429)) && !is_transient(&api(403)) && !is_transient(&api(404)));
    assert!(is_transient(&kube::Error::Service("connection refused".into())));
}
