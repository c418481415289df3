//! Commands of Slurm, with a time-out.

use std::io::Read;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::StudyError;

/// Those of `names` that are in no folder of `PATH`.
pub(super) fn missing<'a>(names: &[&'a str]) -> Vec<&'a str> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders: Vec<_> = std::env::split_paths(&path).collect();
    let absent = |name: &&&str| !folders.iter().any(|f| f.join(name).is_file());
    names.iter().filter(absent).copied().collect()
}

/// What a command writes to stdout when it ends with exit code 0 in time.
///
/// # Errors
/// [`StudyError::SlurmCommand`] with its stderr, [`StudyError::SlurmSilent`]
/// when it took longer; it is then killed.
pub(super) fn output(
    program: &str,
    arguments: &[String],
    limit: Duration,
) -> Result<String, StudyError> {
    let command = words(program, arguments);
    let failed = |found: String| StudyError::SlurmCommand {
        command: command.clone(),
        found,
    };
    // A process group of its own: Ctrl-C must not end it between a submission
    // and the line that tells of it.
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .spawn()
        .map_err(|e| failed(e.to_string()))?;
    let stdout = drain(child.stdout.take());
    let stderr = drain(child.stderr.take());

    let Some(status) = wait(&mut child, limit).map_err(|e| failed(e.to_string()))? else {
        return Err(StudyError::SlurmSilent {
            command,
            seconds: limit.as_secs(),
        });
    };
    let text = |t: thread::JoinHandle<String>| t.join().unwrap_or_default();
    let (stdout, stderr) = (text(stdout), text(stderr));
    if status.success() {
        return Ok(stdout);
    }
    Err(failed(format!("{status}: {}", one_line(&stderr))))
}

/// How the child ended; `None` when it had to be killed.
fn wait(child: &mut Child, limit: Duration) -> std::io::Result<Option<ExitStatus>> {
    let start = Instant::now();
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        if start.elapsed() >= limit {
            child.kill()?;
            child.wait()?;
            return Ok(None);
        }
        thread::sleep(Duration::from_millis(10));
    }
}

fn drain(pipe: Option<impl Read + Send + 'static>) -> thread::JoinHandle<String> {
    thread::spawn(move || {
        let mut bytes = Vec::new();
        if let Some(mut pipe) = pipe {
            // What a broken pipe has given until then is all there is to quote.
            let _ = pipe.read_to_end(&mut bytes);
        }
        String::from_utf8_lossy(&bytes).into_owned()
    })
}

fn one_line(text: &str) -> String {
    let lines: Vec<&str> = text.lines().map(str::trim).collect();
    match lines.join("; ") {
        line if line.is_empty() => "it said nothing".into(),
        line => line,
    }
}

/// A command line as it could be typed.
pub(super) fn words(program: &str, arguments: &[String]) -> String {
    let mut line = program.to_owned();
    for argument in arguments {
        line.push(' ');
        line.push_str(&quoted(argument));
    }
    line
}

/// A word for a shell, in quotes when it needs them.
pub(super) fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_=/.,:%+@".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str, limit: Duration) -> Result<String, StudyError> {
        output("sh", &["-c".into(), script.into()], limit)
    }

    #[test]
    fn an_error_quotes_stderr() {
        let limit = Duration::from_secs(20);
        assert_eq!(shell("echo 12", limit).unwrap(), "12\n");
        let error = shell("echo no such thing >&2; exit 3", limit).unwrap_err();
        assert_eq!(
            error.to_string(),
            "`sh -c 'echo no such thing >&2; exit 3'`: exit status: 3: no such thing"
        );
    }

    #[test]
    fn a_silent_command_is_ended() {
        let error = shell("exec sleep 60", Duration::from_millis(100)).unwrap_err();
        assert!(matches!(error, StudyError::SlurmSilent { .. }), "{error}");
    }

    #[test]
    fn missing_commands_are_found() {
        assert_eq!(missing(&["sh", "no-such-command"]), ["no-such-command"]);
    }

    #[test]
    fn quotes_survive_a_shell() {
        let word = "it's $HOME \"x\" `y`";
        let script = format!("printf %s {}", quoted(word));
        assert_eq!(shell(&script, Duration::from_secs(20)).unwrap(), word);
    }
}
