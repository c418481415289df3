//! `lacuna view`

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use lacuna::page;
use lacuna_view::{Collection, Server, Shown, Source, Training, open_browser};

#[derive(clap::Args)]
pub struct Arguments {
    /// A dataset manifest, or a folder of predictions, of `lacuna evaluate`, of `lacuna auto` or
    /// of a run, which may be at work
    path: PathBuf,
    /// Manifest with the images of the predictions; an evaluation, a run and a folder of
    /// `lacuna auto` know theirs
    #[arg(long)]
    dataset: Option<PathBuf>,
    /// The predictions hold the dataset's own label values, not class indices; not needed
    /// for those of `lacuna predict --label-values`
    #[arg(long)]
    label_values: bool,
    /// Folder for label maps that are corrected in the page, with a dataset.toml to train on
    /// them; a new one, or one of earlier corrections, which go on. Without it nothing is
    /// written
    #[arg(long, value_name = "DIR")]
    corrections: Option<PathBuf>,
    /// Port on 127.0.0.1; default: a free one
    #[arg(
        long,
        default_value_t = 0,
        hide_default_value = true,
        value_name = "PORT"
    )]
    port: u16,
    /// Print the address and start no browser
    #[arg(long)]
    no_open: bool,
}

pub fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let shown = shown(arguments)?;
    let what = match (Training::is_run(&arguments.path), shown.subjects()) {
        (false, subjects) => format!("{subjects} subject(s)"),
        (true, 0) => "the run".to_owned(),
        (true, subjects) => format!("the run and {subjects} subject(s)"),
    };
    let server = Server::bind(shown, arguments.port)?;
    let stopper = server.stopper();
    ctrlc::set_handler(move || stopper.stop())?;
    super::print(&format!("{what} at {}\nCtrl-C ends this\n", server.url()))?;
    let child = match arguments.no_open {
        true => None,
        false => match open_browser(&server.single_use_url()) {
            Ok(child) => Some(child),
            Err(error) => {
                let port = server.port();
                tell!(
                    "no browser was started ({error}); open the address above, on another \
                     computer after `ssh -L {port}:127.0.0.1:{port} HOST` there"
                );
                None
            }
        },
    };
    // The program that starts the browser ends soon; it is waited for so that it does not
    // stay behind as a zombie.
    let waiting = child.map(|mut child| std::thread::spawn(move || child.wait()));
    server.run();
    drop(waiting);
    Ok(ExitCode::SUCCESS)
}

fn shown(arguments: &Arguments) -> anyhow::Result<Shown> {
    let source = Source {
        path: &arguments.path,
        dataset: arguments.dataset.as_deref(),
        label_values: arguments.label_values,
    };
    let shown = match Training::is_run(&arguments.path) {
        false => Shown::from(Collection::open(&source)?),
        true => {
            let report = |folder: &Path| match page::of_run(folder) {
                Ok(run) => Ok(run.report()),
                Err(error) => Err(error.to_string()),
            };
            let training = Training::new(&arguments.path, Box::new(report));
            let (shown, problem) = Shown::of_run(training, &source);
            if let Some(problem) = problem {
                tell!("the subjects of the run are not shown: {problem}");
            }
            shown
        }
    };
    Ok(match &arguments.corrections {
        Some(folder) => shown.with_corrections(folder)?,
        None => shown,
    })
}
