//! Edge: makes this process one that may touch little, and then the program that is to be confined.

use std::convert::Infallible;
use std::env;
use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use landlock::{
    ABI, Access, AccessFs, Ruleset, RulesetAttr, RulesetCreatedAttr, RulesetError, Scope, path_beneath_rules,
};
use rustix::process::{Resource, Rlimit, Signal, getppid, set_parent_process_death_signal, setrlimit};
use rustix::thread::{CapabilitySet, CapabilitySets, set_capabilities, set_no_new_privs};

/// What a confined program may touch, and what each of its processes may take.
#[derive(Debug, Clone, PartialEq, Eq, clap::Args)]
pub struct Confinement {
    /// The one folder that it may write to.
    #[arg(long, value_name = "DIR")]
    pub folder: PathBuf,
    /// Folders and files that it may read, besides the system's programs and authorities.
    #[arg(long, value_name = "PATH")]
    pub readable: Vec<PathBuf>,
    /// Bytes of one file.
    #[arg(long, value_name = "BYTES")]
    pub disk: u64,
    /// Bytes of memory that all its processes may use; each may reserve some more.
    #[arg(long, value_name = "BYTES")]
    pub memory: u64,
    /// The process that started this one; the program ends with it.
    #[arg(long, value_name = "PID")]
    pub parent: i32,
}

impl Confinement {
    /// The arguments that say so, up to where the program follows.
    pub(super) fn arguments(&self) -> Vec<OsString> {
        let named = |name: &str, value: &OsStr| [OsString::from(name), value.to_owned()];
        let number = |name: &str, value: String| named(name, OsStr::new(&value));
        let mut arguments: Vec<OsString> = named("--folder", self.folder.as_os_str()).into();
        arguments.extend(self.readable.iter().flat_map(|path| named("--readable", path.as_os_str())));
        arguments.extend(number("--disk", self.disk.to_string()));
        arguments.extend(number("--memory", self.memory.to_string()));
        arguments.extend(number("--parent", self.parent.to_string()));
        arguments.push("--".into());
        arguments
    }

    /// Becomes the program.
    ///
    /// # Errors
    /// It could not be confined, and was not started; or it is not there.
    pub fn exec(&self, program: &OsStr, arguments: &[OsString]) -> io::Result<Infallible> {
        set_parent_process_death_signal(Some(Signal::KILL))?;
        // Who asked may have died before that; then nobody would end the program.
        if getppid().is_none_or(|parent| parent.as_raw_pid() != self.parent) {
            return Err(io::Error::other("the process that asked for it has ended"));
        }
        set_no_new_privs(true)?;
        let most = |bytes: u64| Rlimit { current: Some(bytes), maximum: Some(bytes) };
        setrlimit(Resource::Core, most(0))?;
        setrlimit(Resource::Fsize, most(self.disk))?;
        // What Go reserves and does not use yet is not counted here, only what could be used at any moment.
        setrlimit(Resource::Data, most(self.memory.saturating_mul(2)))?;
        // Root, too, is to have no more than its files.
        let none = CapabilitySet::empty();
        set_capabilities(None, CapabilitySets { effective: none, permitted: none, inheritable: none })?;
        self.restrict(program).map_err(io::Error::other)?;
        Err(Command::new(program).args(arguments).exec())
    }

    /// As far as the kernel knows how. Where it does, the program can neither read what is this user's, nor write
    /// elsewhere, nor reach into or signal other processes of this user.
    fn restrict(&self, program: &OsStr) -> Result<(), RulesetError> {
        let abi = ABI::V6;
        let path = env::var_os("PATH").unwrap_or_default();
        let search: Vec<PathBuf> =
            env::split_paths(&path).filter(|_| Path::new(program).components().count() == 1).collect();
        let readable = self.readable.iter().map(PathBuf::as_path).chain(search.iter().map(PathBuf::as_path));
        let readable = readable.chain([Path::new(program)]).chain(READABLE.iter().map(Path::new));
        Ruleset::default()
            .handle_access(AccessFs::from_all(abi))?
            .scope(Scope::from_all(abi))?
            .create()?
            .add_rules(path_beneath_rules(readable, AccessFs::from_read(abi)))?
            .add_rules(path_beneath_rules([&self.folder], AccessFs::from_all(abi)))?
            .add_rules(path_beneath_rules(["/dev/null"], AccessFs::from_file(abi)))?
            .restrict_self()?;
        Ok(())
    }
}

/// Programs, authorities, how names are looked up, and what Go wants to know of the machine. Nothing there is secret.
const READABLE: &[&str] = &[
    "/bin",
    "/usr",
    "/lib",
    "/lib64",
    "/etc/ssl/certs",
    "/etc/pki/tls/certs",
    "/etc/pki/ca-trust/extracted",
    "/etc/ca-certificates",
    "/etc/resolv.conf",
    "/etc/hosts",
    "/etc/nsswitch.conf",
    "/etc/gai.conf",
    "/etc/services",
    "/etc/localtime",
    "/etc/ld.so.cache",
    "/etc/mime.types",
    "/dev/urandom",
    "/proc",
    "/sys/kernel/mm/transparent_hugepage",
    "/sys/devices/system/cpu",
    "/sys/fs/cgroup",
];
