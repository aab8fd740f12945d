//! What is made from the command line's own declaration: completions for shells, manual pages.

use std::io;
use std::path::Path;

use clap::Command;
use clap_mangen::roff::{Roff, roman};

use super::args::{self, Completions, Manual};
use super::exit::Failure;
use super::output;

/// Prints a shell's completions.
pub(super) fn completions(asked: &Completions) -> Result<(), Failure> {
    let mut script = Vec::new();
    clap_complete::generate(asked.shell, &mut args::command(), args::NAME, &mut script);
    output::print(&String::from_utf8_lossy(&script))
}

/// Prints the program's manual page, or writes it and one for each command into a directory.
pub(super) fn manual(asked: &Manual) -> Result<(), Failure> {
    let mut program = args::command().disable_help_subcommand(true);
    // Each command knows its whole name from here on.
    program.build();
    match &asked.dir {
        Some(dir) => write_all(&program, dir)
            .map_err(|error| Failure::run(format!("`{}`: {error}", dir.display()))),
        None => {
            let page = page(&program).map_err(Failure::run)?;
            output::print(&String::from_utf8_lossy(&page))
        }
    }
}

fn write_all(program: &Command, dir: &Path) -> io::Result<()> {
    let commands = program.get_subcommands().filter(|command| !command.is_hide_set());
    for command in commands.chain([program]) {
        let name = command.get_display_name().unwrap_or(args::NAME);
        std::fs::write(dir.join(format!("{name}.1")), page(command)?)?;
    }
    Ok(())
}

/// A manual page, in troff's language.
fn page(command: &Command) -> io::Result<Vec<u8>> {
    let mut page = Vec::new();
    let man = clap_mangen::Man::new(command.clone());
    man.render_title(&mut page)?;
    man.render_name_section(&mut page)?;
    man.render_synopsis_section(&mut page)?;
    man.render_description_section(&mut page)?;
    if command.get_arguments().next().is_some() {
        man.render_options_section(&mut page)?;
    }
    if command.get_subcommands().next().is_some() {
        man.render_subcommands_section(&mut page)?;
    }
    if let Some(after) = command.get_after_help() {
        sections(&after.to_string()).to_writer(&mut page)?;
    }
    Ok(page)
}

/// What help ends with: a paragraph that begins with a heading is a section with its own lines.
fn sections(after: &str) -> Roff {
    let mut roff = Roff::new();
    for paragraph in after.split("\n\n") {
        match paragraph.split_once(":\n") {
            Some((heading, lines)) => {
                roff.control("SH", [&*heading.to_uppercase()]);
                roff.control("nf", []);
                for line in lines.lines() {
                    roff.text([roman(line)]);
                }
                roff.control("fi", []);
            }
            None => {
                roff.control("SH", ["NOTES"]);
                roff.text([roman(paragraph)]);
            }
        }
    }
    roff
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_has_a_page_with_its_options_and_its_examples() {
        let dir = tempfile::tempdir().unwrap();
        manual(&Manual { dir: Some(dir.path().to_owned()) }).unwrap();
        let read = |name: &str| std::fs::read_to_string(dir.path().join(name)).unwrap();
        let whole = read("tidegate.1");
        assert!(whole.contains(".SH \"EXIT CODES\"\n.nf\n"), "{whole}");
        for command in args::command().get_subcommands() {
            let name = format!("tidegate\\-{}", command.get_name());
            assert!(whole.contains(&name), "{name} is not named in {whole}");
            let page = read(&format!("tidegate-{}.1", command.get_name()));
            assert!(page.contains(".SH EXAMPLES\n.nf\n"), "{page}");
            for option in command.get_arguments().filter_map(|option| option.get_long()) {
                let option = format!("\\-\\-{}", option.replace('-', "\\-"));
                assert!(page.contains(&option), "{option} is not in {page}");
            }
        }
    }

    #[test]
    fn a_directory_that_is_not_there_is_named() {
        let failure = manual(&Manual { dir: Some("/nowhere/at/all".into()) }).unwrap_err();
        assert_eq!((failure.code(), failure.text().contains("`/nowhere/at/all`")), (1, true));
    }

    #[test]
    fn each_shell_completes_every_command() {
        for shell in [clap_complete::Shell::Bash, clap_complete::Shell::Zsh] {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut args::command(), args::NAME, &mut script);
            let script = String::from_utf8(script).unwrap();
            for command in args::command().get_subcommands() {
                assert!(script.contains(command.get_name()), "{} in {shell}", command.get_name());
            }
            assert!(script.contains("--older-than"), "{shell}");
        }
    }
}
