//! `lacuna view`

use std::path::PathBuf;
use std::process::ExitCode;

use lacuna_view::{Collection, Server, Source, open_browser};

#[derive(clap::Args)]
pub struct Arguments {
    /// A dataset manifest, or a folder of predictions, of `lacuna evaluate` or of `lacuna auto`
    path: PathBuf,
    /// Manifest with the images of the predictions; an evaluation and a folder of
    /// `lacuna auto` know theirs
    #[arg(long)]
    dataset: Option<PathBuf>,
    /// The predictions hold the dataset's own label values, not class indices; not needed
    /// for those of `lacuna predict --label-values`
    #[arg(long)]
    label_values: bool,
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
    let collection = Collection::open(&Source {
        path: &arguments.path,
        dataset: arguments.dataset.as_deref(),
        label_values: arguments.label_values,
    })?;
    let subjects = collection.len();
    let server = Server::bind(collection, arguments.port)?;
    let stopper = server.stopper();
    ctrlc::set_handler(move || stopper.stop())?;
    super::print(&format!(
        "{subjects} subject(s) at {}\nCtrl-C ends this\n",
        server.url()
    ))?;
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
