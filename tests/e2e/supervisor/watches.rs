//! Files that are watched.

mod classes;

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use super::*;

fn page(body: &str) -> String {
    format!(
        "[listeners.http]\naddress = \"127.0.0.1:0\"\n\n\
         [reload]\nwatch = true\ndebounce = \"50ms\"\n\n\
         [[routes]]\nrespond = {{ body = \"{body}\" }}\n"
    )
}

fn watching(file: &Path) -> Supervisor {
    Supervisor::start(Options::new(ConfigSource::File(file.to_owned()))).unwrap()
}

async fn reaches(supervisor: &Supervisor, generation: u64) {
    until("the reload", || supervisor.generation() == generation).await;
}

#[tokio::test]
async fn a_file_written_in_place_or_renamed_over_is_reloaded() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("tidegate.toml");
    fs::write(&file, page("one")).unwrap();
    let supervisor = watching(&file);
    fs::write(&file, page("two")).unwrap();
    reaches(&supervisor, 2).await;
    let beside = dir.path().join(".tidegate.toml.swp");
    fs::write(&beside, page("three")).unwrap();
    fs::rename(&beside, &file).unwrap();
    reaches(&supervisor, 3).await;
}

#[tokio::test]
async fn a_swapped_symlink_further_up_the_path_is_reloaded_again_and_again() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    // As Kubernetes mounts a ConfigMap.
    let publish = |version: u32| {
        let real = at(&format!("..{version}"));
        fs::create_dir(&real).unwrap();
        fs::write(real.join("tidegate.toml"), page(&version.to_string())).unwrap();
        symlink(&real, at("..data_tmp")).unwrap();
        fs::rename(at("..data_tmp"), at("..data")).unwrap();
    };
    publish(1);
    let file = at("tidegate.toml");
    symlink("..data/tidegate.toml", &file).unwrap();
    let supervisor = watching(&file);
    for version in 2..=4 {
        publish(version);
        reaches(&supervisor, u64::from(version)).await;
        fs::remove_dir_all(at(&format!("..{}", version - 1))).unwrap();
    }
}

#[tokio::test]
async fn other_files_and_broken_ones_change_nothing_until_the_file_is_right_again() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("tidegate.toml");
    fs::write(&file, page("one")).unwrap();
    let supervisor = watching(&file);
    fs::write(dir.path().join("notes.txt"), "nothing").unwrap();
    fs::write(&file, "routes = 7").unwrap();
    let refused = r#"tidegate_reloads_total{outcome="refused_config"} 1"#;
    until("the refusal", || supervisor.scrape(Exposition::OpenMetrics).contains(refused)).await;
    assert_eq!(supervisor.generation(), 1);
    fs::write(&file, page("two")).unwrap();
    reaches(&supervisor, 2).await;
    assert!(supervisor.scrape(Exposition::OpenMetrics).contains(refused));
}
