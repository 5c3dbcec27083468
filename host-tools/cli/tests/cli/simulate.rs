//! `mote simulate`: the same figures as the simulator's own command, as text and as an object.

use crate::support::*;

#[test]
fn a_small_network_agrees_and_the_same_seed_tells_the_same() {
    let arguments = ["simulate", "--seed", "3", "protocol", "--nodes", "40", "--rounds", "60", "--json"];
    let [mut one, mut two] = [(); 2].map(|()| mote(&arguments).report());
    assert_eq!(one["sample_agreement"]["participants"], 1.0, "{one:#}");
    // Measured, where the system tells.
    for report in [&mut one, &mut two] {
        report["rounds_per_cpu_second"] = serde_json::Value::Null;
    }
    assert_eq!(one, two);
    let text = mote(&arguments[..arguments.len() - 1]).text();
    assert!(text.contains("sample agreement") && text.contains("view bytes per node and round"), "{text}");
}

#[test]
fn training_without_data_and_with_wrong_files_is_refused() {
    let error = mote(&["simulate", "train", "--json"]).error(2, "usage");
    assert!(error["message"].as_str().unwrap().contains("--pictures FOLDER"), "{error:#}");
    let folder = Folder::new();
    let ratings = folder.file("ratings.csv", "userId,movieId,rating,timestamp\n1,1,4.0,964982703\n1,two,3\n");
    let error = mote(&["simulate", "train", "--ratings", &ratings, "--json"]).error(1, "input");
    assert_eq!(error["where"].as_str(), Some(ratings.as_str()));
    assert!(error["message"].as_str().unwrap().contains("line 3"), "{error:#}");
    let gone = folder.path("latencies.txt");
    let error = mote(&["simulate", "--latencies", &gone, "protocol", "--json"]).error(1, "file");
    assert_eq!(error["where"].as_str(), Some(gone.as_str()));
}
