//! What `tidegate --version` and `tidegate version` print.

use std::sync::LazyLock;

/// The commit that the program was built from, as `build.rs` found it or its environment named it.
const COMMIT: &str = match option_env!("TIDEGATE_COMMIT") {
    Some(commit) => commit,
    None => "unknown",
};

const ALLOCATOR: &str =
    if cfg!(all(feature = "jemalloc", target_os = "linux")) { "jemalloc" } else { "the system's" };

/// Of the features that a build may leave out, those that this one has.
const FEATURES: &str = match (cfg!(feature = "acme"), cfg!(feature = "dns")) {
    (true, true) => "acme, dns",
    (true, false) => "acme; built without dns",
    (false, true) => "dns; built without acme",
    (false, false) => "none; built without acme and dns",
};

/// Version, commit, features, allocator and TLS library, without the program's name.
pub(in crate::cli) static LONG_VERSION: LazyLock<String> = LazyLock::new(|| {
    let version = env!("CARGO_PKG_VERSION");
    format!(
        "{version}\ncommit: {COMMIT}\nfeatures: {FEATURES}\nallocator: {ALLOCATOR}\n\
         TLS: rustls with aws-lc-rs"
    )
});
