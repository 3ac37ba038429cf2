//! The configuration of a Bacula of our own, as texts: a director, a storage daemon, a file daemon and a console on the loopback.
//!
//! Bacula's defaults: no compression, no encryption of data or connections, no digests of files. Attributes are spooled, as its
//! manual advises: they go into the catalog when the data is stored.

/// Names of jobs in the configuration.
pub(super) const BACKUP: &str = "backup";
pub(super) const RESTORE: &str = "restore";
/// The catalog's file in the director's directory is this with `.db`.
pub(super) const CATALOG: &str = "catalog";
pub(super) const CLIENT: &str = "files";

/// What the configuration is made of.
pub(super) struct Layout {
    /// Directory of everything.
    pub(super) dir: String,
    pub(super) source: String,
    /// Ports of the director, the file daemon and the storage daemon.
    pub(super) ports: [u16; 3],
    /// Only those who can read the configuration talk to the daemons.
    pub(super) password: String,
}

/// A value in quotation marks.
fn quoted(value: &str) -> String {
    format!("\"{}\"", value.replace('\\', "\\\\").replace('"', "\\\""))
}

impl Layout {
    /// The director's: both jobs say in a file how they ended, when they have.
    pub(super) fn director(&self) -> String {
        let (work, query) = (quoted(&self.dir), quoted(&format!("{}/query.sql", self.dir)));
        let (password, source) = (quoted(&self.password), quoted(&self.source));
        let [director, files, storage] = self.ports;
        let log = quoted(&format!("{}/jobs.log", self.dir));
        let target = quoted(&format!("{}/nowhere", self.dir));
        let ended = self.ended();
        format!(
            "Director {{ Name = director; DIRport = {director}; DirAddress = 127.0.0.1; QueryFile = {query}\n\
             WorkingDirectory = {work}; PidDirectory = {work}; Password = {password}; Messages = all }}\n\
             Job {{ Name = {BACKUP}; Type = Backup; Level = Full; Client = {CLIENT}; FileSet = source; Storage = volumes\n\
             Pool = pool; Messages = all; SpoolAttributes = yes\n{ended} }}\n\
             Job {{ Name = {RESTORE}; Type = Restore; Client = {CLIENT}; FileSet = source; Storage = volumes\n\
             Pool = pool; Messages = all; Where = {target}\n{ended} }}\n\
             FileSet {{ Name = source; Include {{ File = {source} }} }}\n\
             Client {{ Name = {CLIENT}; Address = 127.0.0.1; FDPort = {files}; Catalog = {CATALOG}\n\
             Password = {password}; AutoPrune = no }}\n\
             Storage {{ Name = volumes; Address = 127.0.0.1; SDPort = {storage}; Password = {password}\n\
             Device = directory; Media Type = File }}\n\
             Catalog {{ Name = {CATALOG}; dbname = {CATALOG}; dbuser = \"\"; dbpassword = \"\" }}\n\
             Pool {{ Name = pool; Pool Type = Backup; AutoPrune = no; Recycle = no; Label Format = volume }}\n\
             Messages {{ Name = all; append = {log} = all, !skipped }}\n"
        )
    }

    /// A command after a job, however it went. The file is there at once with all that is in it.
    fn ended(&self) -> String {
        let file = self.ended_file();
        let shell =
            format!("sh -c 'echo \\\"%e\\\" > \\\"{file}.new\\\" && mv \\\"{file}.new\\\" \\\"{file}\\\"'");
        format!(
            "RunScript {{ RunsWhen = After; RunsOnClient = no; RunsOnSuccess = yes; RunsOnFailure = yes\n\
             Command = \"{shell}\" }}"
        )
    }

    /// What says how the last job ended.
    pub(super) fn ended_file(&self) -> String {
        format!("{}/ended", self.dir)
    }

    pub(super) fn volumes(&self) -> String {
        format!("{}/volumes", self.dir)
    }

    /// The storage daemon's: volumes are files of one directory.
    pub(super) fn storage(&self) -> String {
        let (work, volumes) = (quoted(&self.dir), quoted(&self.volumes()));
        format!(
            "Storage {{ Name = storage; SDPort = {}; SDAddress = 127.0.0.1; WorkingDirectory = {work}; Pid Directory = {work} }}\n\
             Director {{ Name = director; Password = {} }}\n\
             Device {{ Name = directory; Media Type = File; Archive Device = {volumes}; LabelMedia = yes\n\
             Random Access = yes; AutomaticMount = yes; RemovableMedia = no; AlwaysOpen = no }}\n{}",
            self.ports[2],
            quoted(&self.password),
            to_director()
        )
    }

    /// The file daemon's, which is the client.
    pub(super) fn files(&self) -> String {
        let work = quoted(&self.dir);
        format!(
            "FileDaemon {{ Name = {CLIENT}; FDport = {}; FDAddress = 127.0.0.1; WorkingDirectory = {work}; Pid Directory = {work} }}\n\
             Director {{ Name = director; Password = {} }}\n{}",
            self.ports[1],
            quoted(&self.password),
            to_director()
        )
    }

    pub(super) fn console(&self) -> String {
        let [port, ..] = self.ports;
        let password = quoted(&self.password);
        format!(
            "Director {{ Name = director; DIRport = {port}; address = 127.0.0.1; Password = {password} }}\n"
        )
    }
}

fn to_director() -> &'static str {
    "Messages { Name = all; director = director = all, !skipped, !restored }\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layout() -> Layout {
        let (dir, source) = ("/w x".to_owned(), "/src \"a\"".to_owned());
        Layout { dir, source, ports: [20_001, 20_002, 20_003], password: "p".to_owned() }
    }

    #[test]
    fn daemons_stay_on_the_loopback_and_find_each_other() {
        let layout = layout();
        let director = layout.director();
        assert!(director.contains("DIRport = 20001; DirAddress = 127.0.0.1"), "{director}");
        assert!(director.contains("FDPort = 20002") && director.contains("SDPort = 20003"), "{director}");
        assert!(layout.files().contains("FDport = 20002; FDAddress = 127.0.0.1"));
        assert!(layout.storage().contains("SDPort = 20003; SDAddress = 127.0.0.1"));
        assert!(layout.console().contains("DIRport = 20001"));
    }

    #[test]
    fn paths_are_quoted_and_blocks_closed() {
        let layout = layout();
        let director = layout.director();
        assert!(director.contains("File = \"/src \\\"a\\\"\" }"), "{director}");
        assert!(layout.storage().contains("Archive Device = \"/w x/volumes\""));
        for text in [director, layout.storage(), layout.files(), layout.console()] {
            assert_eq!(text.matches('{').count(), text.matches('}').count(), "{text}");
        }
    }
}
