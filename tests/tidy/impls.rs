//! Which type an `impl` block is for.

/// The type that a line begins to implement something for, or by itself.
pub fn implementer(line: &str) -> Option<&str> {
    let line = line.split(" where ").next()?.trim_end_matches('{');
    let of = line.rsplit_once(" for ").map_or(line, |(_, of)| of);
    let of = of.strip_prefix("impl").unwrap_or(of);
    // Past the parameters of the block itself.
    let of = match of.strip_prefix('<') {
        Some(rest) => {
            let mut depth = 1;
            let end = rest.find(|c| {
                depth += i32::from(c == '<') - i32::from(c == '>');
                depth == 0
            });
            &rest[end? + 1..]
        }
        None => of,
    };
    let of = of.split('<').next()?.trim().rsplit("::").next()?;
    Some(of.trim_start_matches('&').trim()).filter(|of| !of.is_empty())
}
