//! A network of its own, in which a worker's command is run: nothing is there but what a test leads there.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::os::fd::AsFd;
use std::process::{Command, Output, Stdio};
use std::sync::mpsc;
use std::thread;

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use tokio::io::copy_bidirectional;
use tokio::net::TcpStream;
use tokio::sync::oneshot;

/// The network. It is gone when nothing in it runs any more.
#[derive(Clone)]
pub(crate) struct Sealed {
    commands: mpsc::Sender<(Command, oneshot::Sender<Output>)>,
}

impl Sealed {
    /// A network in which these ports of 127.0.0.1 are those of this machine, and there is nothing else.
    pub(crate) fn with(ports: &[u16]) -> Sealed {
        let (commands, orders) = mpsc::channel::<(Command, oneshot::Sender<Output>)>();
        let (opened, listeners) = mpsc::channel();
        let ports = ports.to_vec();
        thread::spawn(move || {
            move_into_link_name_space(network().as_fd(), Some(LinkNameSpaceType::Network)).unwrap();
            assert!(Command::new("ip").args(["link", "set", "lo", "up"]).status().unwrap().success());
            for port in ports {
                opened.send((port, TcpListener::bind(("127.0.0.1", port)).unwrap())).unwrap();
            }
            drop(opened);
            // A command inherits the network of the thread that starts it.
            for (mut command, done) in orders {
                let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
                thread::spawn(move || done.send(child.wait_with_output().unwrap()));
            }
        });
        for (port, listener) in listeners {
            listener.set_nonblocking(true).unwrap();
            let listener = tokio::net::TcpListener::from_std(listener).unwrap();
            tokio::spawn(async move {
                while let Ok((inside, _)) = listener.accept().await {
                    tokio::spawn(led_out(inside, port));
                }
            });
        }
        Sealed { commands }
    }

    /// Runs a command to its end.
    pub(crate) async fn run(&self, command: Command) -> Output {
        let (done, end) = oneshot::channel();
        self.commands.send((command, done)).unwrap();
        end.await.unwrap()
    }
}

async fn led_out(mut inside: TcpStream, port: u16) {
    let mut outside = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    // Either end may break off.
    let _ = copy_bidirectional(&mut inside, &mut outside).await;
}

/// A new network, with nothing in it.
fn network() -> File {
    let mut command = Command::new("unshare");
    command.args(["--net", "sh", "-c", "echo there; read rest"]).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut inside = command.spawn().unwrap();
    let mut line = String::new();
    BufReader::new(inside.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let network = File::open(format!("/proc/{}/ns/net", inside.id())).unwrap();
    drop(inside.stdin.take());
    inside.wait().unwrap();
    network
}
