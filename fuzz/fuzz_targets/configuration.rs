//! Any text is a plan or a report; neither panics nor takes long.
#![no_main]

use std::path::Path;

use libfuzzer_sys::fuzz_target;
use tidegate::config::load_text;
use tidegate::report::Colour;

fuzz_target!(|text: &str| {
    // Files of this machine are no part of the input.
    if text.contains("include") {
        return;
    }
    let path = Path::new("/nonexistent/tidegate.toml");
    let environment = |name: &str| (name == "NAME").then(|| "value".to_owned());
    match load_text(path, text, &environment) {
        Ok(loaded) => drop(loaded.warnings.text(&loaded.sources, Colour::Plain)),
        Err(refused) => {
            assert!(refused.report.errors() > 0);
            drop(refused.report.text(&refused.sources, Colour::Plain));
        }
    }
});
