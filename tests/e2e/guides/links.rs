//! Every link of every page leads somewhere.

use std::collections::{HashMap, HashSet};
use std::path::{Component, Path, PathBuf};

use super::markdown::{anchors, files, links, read, root};

/// A path without `..`.
fn plain(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for part in path.components() {
        match part {
            Component::ParentDir => assert!(plain.pop(), "{} leads out", path.display()),
            Component::CurDir => {}
            part => plain.push(part),
        }
    }
    plain
}

/// Where a link of a page leads, or why nowhere.
fn follow(
    page: &Path,
    link: &str,
    known: &mut HashMap<PathBuf, HashSet<String>>,
) -> Result<PathBuf, String> {
    let (file, anchor) = link.split_once('#').map_or((link, None), |(file, at)| (file, Some(at)));
    let target = match file {
        "" => page.to_owned(),
        file => plain(&page.parent().unwrap().join(file)),
    };
    if !root().join(&target).exists() {
        return Err(format!("there is no {}", target.display()));
    }
    if let Some(anchor) = anchor {
        let anchors = known.entry(target.clone()).or_insert_with(|| anchors(&read(&target)));
        if !anchors.contains(anchor) {
            return Err(format!("{} has nothing called `{anchor}`", target.display()));
        }
    }
    Ok(target)
}

#[test]
fn every_link_leads_somewhere_and_every_guide_is_found_from_the_readme() {
    let (mut faults, mut followed, mut elsewhere) = (Vec::new(), 0, 0);
    let (mut found, mut known) = (Vec::new(), HashMap::new());
    // Its links are those of the page that is made of it.
    let made_of = Path::new("src/config/reference.md");
    for page in files(".", ".md").into_iter().filter(|page| page != made_of) {
        for (line, link) in links(&read(&page)) {
            if link.contains(':') {
                elsewhere += 1;
                continue;
            }
            match follow(&page, &link, &mut known) {
                Ok(target) if page == Path::new("README.md") => found.push(target),
                Ok(_) => {}
                Err(why) => faults.push(format!("{}:{line}: {link}: {why}", page.display())),
            }
            followed += 1;
        }
    }
    let guides = files("config/guides", ".md");
    let missing = guides.iter().filter(|guide| !found.contains(guide));
    faults.extend(missing.map(|guide| format!("README.md: no link to {}", guide.display())));
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
    println!("{followed} links followed, {elsewhere} lead to other places");
    assert!(followed > 150, "{followed}");
}
