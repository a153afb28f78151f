# Print an optspec for argparse to handle cmd's options that are independent of any subcommand.
function __fish_kube_bundle_global_optspecs
    string join \n json q/quiet color= h/help V/version
end

function __fish_kube_bundle_needs_command
    # Figure out if the current invocation already has a command.
    set -l cmd (commandline -opc)
    set -e cmd[1]
    argparse -s (__fish_kube_bundle_global_optspecs) -- $cmd 2>/dev/null
    or return
    if set -q argv[1]
        # Also print the command, so this can be used to figure out what it is.
        echo $argv[1]
        return 1
    end
    return 0
end

function __fish_kube_bundle_using_subcommand
    set -l cmd (__fish_kube_bundle_needs_command)
    test -z "$cmd"
    and return 1
    contains -- $cmd[1] $argv
end

complete -c kube-bundle -n "__fish_kube_bundle_needs_command" -l color -d 'When to use colours' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` is set'
always\t'Always'
never\t'Never'"
complete -c kube-bundle -n "__fish_kube_bundle_needs_command" -l json -d 'Print results as JSON on stdout; notes, warnings and errors as JSON on stderr, one object on each line'
complete -c kube-bundle -n "__fish_kube_bundle_needs_command" -s q -l quiet -d 'Print only results, warnings and errors'
complete -c kube-bundle -n "__fish_kube_bundle_needs_command" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c kube-bundle -n "__fish_kube_bundle_needs_command" -s V -l version -d 'Print version'
complete -c kube-bundle -n "__fish_kube_bundle_needs_command" -f -a "init" -d 'Write a commented cluster.toml: with example addresses to replace, or with your machines'
complete -c kube-bundle -n "__fish_kube_bundle_needs_command" -f -a "plan" -d 'Show what a build would make: machines, files, certificates, downloads'
complete -c kube-bundle -n "__fish_kube_bundle_needs_command" -f -a "fetch" -d 'Download everything that a build needs into the store, where all builds find it'
complete -c kube-bundle -n "__fish_kube_bundle_needs_command" -f -a "build" -d 'Build the bundle'
complete -c kube-bundle -n "__fish_kube_bundle_needs_command" -f -a "verify" -d 'Verify a bundle, or one of its artifacts, against its checksums and signatures'
complete -c kube-bundle -n "__fish_kube_bundle_needs_command" -f -a "sign" -d 'Sign a bundle: its checksum list, and its index of packages'
complete -c kube-bundle -n "__fish_kube_bundle_needs_command" -f -a "trust" -d 'Choose whose signatures are trusted'
complete -c kube-bundle -n "__fish_kube_bundle_needs_command" -f -a "inspect" -d 'List the files of a bundle or of one of its artifacts, without unpacking it'
complete -c kube-bundle -n "__fish_kube_bundle_needs_command" -f -a "diff" -d 'Compare two bundles: machines, versions, flags of units, certificates, files'
complete -c kube-bundle -n "__fish_kube_bundle_needs_command" -f -a "pki" -d 'Show and renew keys and certificates'
complete -c kube-bundle -n "__fish_kube_bundle_needs_command" -f -a "recipe" -d 'Show, copy and edit recipes: Kubernetes releases as data'
complete -c kube-bundle -n "__fish_kube_bundle_needs_command" -f -a "store" -d 'Clean up the store: the cache of downloads and compressed programs that all builds share'
complete -c kube-bundle -n "__fish_kube_bundle_needs_command" -f -a "explain" -d 'Explain a key of cluster.toml: what it means, what it takes, its default'
complete -c kube-bundle -n "__fish_kube_bundle_needs_command" -f -a "schema" -d 'Print a JSON Schema of cluster.toml, for editors that check and complete TOML'
complete -c kube-bundle -n "__fish_kube_bundle_needs_command" -f -a "completions" -d 'Print what completes kube-bundle\'s commands and options in a shell'
complete -c kube-bundle -n "__fish_kube_bundle_needs_command" -f -a "demo" -d 'Run the whole pipeline with stand-in programs, without network or files'
complete -c kube-bundle -n "__fish_kube_bundle_needs_command" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c kube-bundle -n "__fish_kube_bundle_using_subcommand init" -l name -d 'Name of the cluster; names of files begin with it [default: roc]' -r
complete -c kube-bundle -n "__fish_kube_bundle_using_subcommand init" -l endpoint -d 'URL of the API server; what is no node\'s address is added to `apiserver_sans` [default: the first master]' -r
complete -c kube-bundle -n "__fish_kube_bundle_using_subcommand init" -l node -d 'A machine, with its roles (etcd, master, worker) if they are not etcd and master; repeat the option for each' -r
complete -c kube-bundle -n "__fish_kube_bundle_using_subcommand init" -l pod-cidr -d 'Addresses of pods; must not contain the address of a machine [default: 10.10.0.0/16]' -r
complete -c kube-bundle -n "__fish_kube_bundle_using_subcommand init" -l service-cidr -d 'Addresses of services; must not contain the address of a machine [default: 10.32.0.0/16]' -r
complete -c kube-bundle -n "__fish_kube_bundle_using_subcommand init" -l color -d 'When to use colours' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` is set'
always\t'Always'
never\t'Never'"
complete -c kube-bundle -n "__fish_kube_bundle_using_subcommand init" -l json -d 'Print results as JSON on stdout; notes, warnings and errors as JSON on stderr, one object on each line'
complete -c kube-bundle -n "__fish_kube_bundle_using_subcommand init" -s q -l quiet -d 'Print only results, warnings and errors'
complete -c kube-bundle -n "__fish_kube_bundle_using_subcommand init" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c kube-bundle -n "__fish_kube_bundle_using_subcommand plan" -s c -l cluster -d 'File that describes the cluster' -r -F
complete -c kube-bundle -n "__fish_kube_bundle_using_subcommand plan" -l recipe -d 'Use this recipe instead of the one in cluster.toml: the name of an embedded one, or ./DIR' -r
complete -c kube-bundle -n "__fish_kube_bundle_using_subcommand plan" -l color -d 'When to use colours' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` is set'
always\t'Always'
never\t'Never'"
complete -c kube-bundle -n "__fish_kube_bundle_using_subcommand plan" -l json -d 'Print results as JSON on stdout; notes, warnings and errors as JSON on stderr, one object on each line'
complete -c kube-bundle -n "__fish_kube_bundle_using_subcommand plan" -s q -l quiet -d 'Print only results, warnings and errors'
complete -c kube-bundle -n "__fish_kube_bundle_using_subcommand plan" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c kube-bundle -n "__fish_kube_bundle_using_subcommand fetch" -s c -l cluster -d 'File that describes the cluster' -r -F
complete -c kube-bundle -n "__fish_kube_bundle_using_subcommand fetch" -l recipe -d 'Use this recipe instead of the one in cluster.toml: the name of an embedded one, or ./DIR' -r
complete -c kube-bundle -n "__fish_kube_bundle_using_subcommand fetch" -l from -d 'Try this directory or mirror first: files by name, or in the directory layout of upstream; may be repeated' -r
complete -c kube-bundle -n "__fish_kube_bundle_using_subcommand fetch" -s j -l jobs -d 'Number of parallel jobs [default: number of processors; at least 4 for downloads]' -r
complete -c kube-bundle -n "__fish_kube_bundle_using_subcommand fetch" -l timeout -d 'Idle timeout: give up on a connection after this many seconds without data' -r
complete -c kube-bundle -n "__fish_kube_bundle_using_subcommand fetch" -l retries -d 'Number of retries after a server error or a broken connection' -r
complete -c kube-bundle -n "__fish_kube_bundle_using_subcommand fetch" -l color -d 'When to use colours' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` is set'
always\t'Always'
never\t'Never'"
complete -c kube-bundle -n "__fish_kube_bundle_using_subcommand fetch" -l offline -d 'Never access the network'
complete -c kube-bundle -n "__fish_kube_bundle_using_subcommand fetch" -l json -d 'Print results as JSON on stdout; notes, warnings and errors as JSON on stderr, one object on each line'
complete -c kube-bundle -n "__fish_kube_bundle_using_subcommand fetch" -s q -l quiet -d 'Print only results, warnings and errors'
complete -c kube-bundle -n "__fish_kube_bundle_using_subcommand fetch" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c kube-bundle -n "__fish_kube_bundle_using_subcommand build" -s c -l cluster -d 'File that describes the cluster' -r -F
complete -c kube-bundle -n "__fish_kube_bundle_using_subcommand build" -l recipe -d 'Use this recipe instead of the one in cluster.toml: the name of an embedded one, or ./DIR' -r
complete -c kube-bundle -n "__fish_kube_bundle_using_subcommand build" -l from -d 'Try this directory or mirror first: files by name, or in the directory layout of upstream; may be repeated' -r
complete -c kube-bundle -n "__fish_kube_bundle_using_subcommand build" -s j -l jobs -d 'Number of parallel jobs [default: number of processors; at least 4 for downloads]' -r
complete -c kube-bundle -n "__fish_kube_bundle_using_subcommand build" -l timeout -d 'Idle timeout: give up on a connection after this many seconds without data' -r
complete -c kube-bundle -n "__fish_kube_bundle_using_subcommand build" -l retries -d 'Number of retries after a server error or a broken connection' -r
complete -c kube-bundle -n "__fish_kube_bundle_using_subcommand build" -s o -l out -d 'Output directory [default: ./out/<cluster>]' -r -F
complete -c kube-bundle -n "__fish_kube_bundle_using_subcommand build" -l format -d 'Formats to write; separate several with commas, or repeat the option [default: as in cluster.toml, or tarball]' -r -f -a "tarball\t'One archive with install.sh for each machine'
deb\t'Debian packages and an apt repository'
nocloud\t'A cloud-init seed disk for each machine; writes the packages or archives it carries, too'
initrd\t'An archive for the boot loader for each machine; writes the packages or archives it carries, too'
user-data\t'Cloud-init user data for each machine, which fetches its packages or archive from `[output.mirror]`'"
complete -c kube-bundle -n "__fish_kube_bundle_using_subcommand build" -l deb-layout -d 'How files are divided among packages [default: as in cluster.toml, or split]' -r -f -a "split\t'One package for each program, shared by all machines, and a small one for each machine'
fat\t'One package for each machine, with everything in it'"
complete -c kube-bundle -n "__fish_kube_bundle_using_subcommand build" -l deb-compression -d 'Compression of packages [default: as in cluster.toml, or gzip]' -r -f -a "gzip\t'Read by every dpkg'
zstd\t'Smaller, in less than half the time; for Debian 12, Ubuntu 18.04 and later'
xz\t'Smallest, read by every dpkg; takes sixteen times as long as gzip'"
complete -c kube-bundle -n "__fish_kube_bundle_using_subcommand build" -l seed -d 'How seeds for the first boot are divided among images [default: as in cluster.toml, or whole]' -r -f -a "whole\t'One image for each machine, with everything in it'
split\t'One image with the programs, shared by all machines, and a small one for each machine'"
complete -c kube-bundle -n "__fish_kube_bundle_using_subcommand build" -l passphrase-file -d 'File whose first line is the passphrase that new keys of machines get, with `seal = "passphrase"`' -r -F
complete -c kube-bundle -n "__fish_kube_bundle_using_subcommand build" -l sign -d 'Sign the bundle with this Ed25519 key; repeat the option for several' -r
complete -c kube-bundle -n "__fish_kube_bundle_using_subcommand build" -l seed-image -d 'File system of seed disks [default: as in cluster.toml, or iso]' -r -f -a "iso\t'ISO 9660'
vfat\t'FAT16, for platforms that can\'t attach an optical disk'"
complete -c kube-bundle -n "__fish_kube_bundle_using_subcommand build" -l color -d 'When to use colours' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` is set'
always\t'Always'
never\t'Never'"
complete -c kube-bundle -n "__fish_kube_bundle_using_subcommand build" -l offline -d 'Never access the network'
complete -c kube-bundle -n "__fish_kube_bundle_using_subcommand build" -l json -d 'Print results as JSON on stdout; notes, warnings and errors as JSON on stderr, one object on each line'
complete -c kube-bundle -n "__fish_kube_bundle_using_subcommand build" -s q -l quiet -d 'Print only results, warnings and errors'
complete -c kube-bundle -n "__fish_kube_bundle_using_subcommand build" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c kube-bundle -n "__fish_kube_bundle_using_subcommand verify" -l trust -d 'Require a signature by a key in this directory, which `trust init` writes; it must not come with the bundle' -r -F
complete -c kube-bundle -n "__fish_kube_bundle_using_subcommand verify" -l color -d 'When to use colours' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` is set'
always\t'Always'
never\t'Never'"
complete -c kube-bundle -n "__fish_kube_bundle_using_subcommand verify" -l deep -d 'Also verify every file inside every artifact'
complete -c kube-bundle -n "__fish_kube_bundle_using_subcommand verify" -l json -d 'Print results as JSON on stdout; notes, warnings and errors as JSON on stderr, one object on each line'
complete -c kube-bundle -n "__fish_kube_bundle_using_subcommand verify" -s q -l quiet -d 'Print only results, warnings and errors'
complete -c kube-bundle -n "__fish_kube_bundle_using_subcommand verify" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c kube-bundle -n "__fish_kube_bundle_using_subcommand sign" -l key -d 'An Ed25519 key: a file of ssh-keygen or openssl, or agent:SHA256:…; repeat the option for several' -r
complete -c kube-bundle -n "__fish_kube_bundle_using_subcommand sign" -l color -d 'When to use colours' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` is set'
always\t'Always'
never\t'Never'"
complete -c kube-bundle -n "__fish_kube_bundle_using_subcommand sign" -l json -d 'Print results as JSON on stdout; notes, warnings and errors as JSON on stderr, one object on each line'
complete -c kube-bundle -n "__fish_kube_bundle_using_subcommand sign" -s q -l quiet -d 'Print only results, warnings and errors'
complete -c kube-bundle -n "__fish_kube_bundle_using_subcommand sign" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c kube-bundle -n "__fish_kube_bundle_using_subcommand trust; and not __fish_seen_subcommand_from init help" -l color -d 'When to use colours' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` is set'
always\t'Always'
never\t'Never'"
complete -c kube-bundle -n "__fish_kube_bundle_using_subcommand trust; and not __fish_seen_subcommand_from init help" -l json -d 'Print results as JSON on stdout; notes, warnings and errors as JSON on stderr, one object on each line'
complete -c kube-bundle -n "__fish_kube_bundle_using_subcommand trust; and not __fish_seen_subcommand_from init help" -s q -l quiet -d 'Print only results, warnings and errors'
complete -c kube-bundle -n "__fish_kube_bundle_using_subcommand trust; and not __fish_seen_subcommand_from init help" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c kube-bundle -n "__fish_kube_bundle_using_subcommand trust; and not __fish_seen_subcommand_from init help" -f -a "init" -d 'Write a directory of trusted keys, for `verify --trust`, install.sh, ssh-keygen, gpgv, apt and openssl'
complete -c kube-bundle -n "__fish_kube_bundle_using_subcommand trust; and not __fish_seen_subcommand_from init help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c kube-bundle -n "__fish_kube_bundle_using_subcommand trust; and __fish_seen_subcommand_from init" -l key -d 'A private Ed25519 key, since certificates for gpgv and apt are signed by their own keys' -r
complete -c kube-bundle -n "__fish_kube_bundle_using_subcommand trust; and __fish_seen_subcommand_from init" -l revoke -d 'A key whose signatures must be refused; its public half is enough' -r
complete -c kube-bundle -n "__fish_kube_bundle_using_subcommand trust; and __fish_seen_subcommand_from init" -l color -d 'When to use colours' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` is set'
always\t'Always'
never\t'Never'"
complete -c kube-bundle -n "__fish_kube_bundle_using_subcommand trust; and __fish_seen_subcommand_from init" -l json -d 'Print results as JSON on stdout; notes, warnings and errors as JSON on stderr, one object on each line'
complete -c kube-bundle -n "__fish_kube_bundle_using_subcommand trust; and __fish_seen_subcommand_from init" -s q -l quiet -d 'Print only results, warnings and errors'
complete -c kube-bundle -n "__fish_kube_bundle_using_subcommand trust; and __fish_seen_subcommand_from init" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c kube-bundle -n "__fish_kube_bundle_using_subcommand trust; and __fish_seen_subcommand_from help" -f -a "init" -d 'Write a directory of trusted keys, for `verify --trust`, install.sh, ssh-keygen, gpgv, apt and openssl'
complete -c kube-bundle -n "__fish_kube_bundle_using_subcommand trust; and __fish_seen_subcommand_from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c kube-bundle -n "__fish_kube_bundle_using_subcommand inspect" -l color -d 'When to use colours' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` is set'
always\t'Always'
never\t'Never'"
complete -c kube-bundle -n "__fish_kube_bundle_using_subcommand inspect" -l json -d 'Print results as JSON on stdout; notes, warnings and errors as JSON on stderr, one object on each line'
complete -c kube-bundle -n "__fish_kube_bundle_using_subcommand inspect" -s q -l quiet -d 'Print only results, warnings and errors'
complete -c kube-bundle -n "__fish_kube_bundle_using_subcommand inspect" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c kube-bundle -n "__fish_kube_bundle_using_subcommand diff" -l color -d 'When to use colours' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` is set'
always\t'Always'
never\t'Never'"
complete -c kube-bundle -n "__fish_kube_bundle_using_subcommand diff" -l json -d 'Print results as JSON on stdout; notes, warnings and errors as JSON on stderr, one object on each line'
complete -c kube-bundle -n "__fish_kube_bundle_using_subcommand diff" -s q -l quiet -d 'Print only results, warnings and errors'
complete -c kube-bundle -n "__fish_kube_bundle_using_subcommand diff" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c kube-bundle -n "__fish_kube_bundle_using_subcommand pki; and not __fish_seen_subcommand_from status renew help" -l color -d 'When to use colours' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` is set'
always\t'Always'
never\t'Never'"
complete -c kube-bundle -n "__fish_kube_bundle_using_subcommand pki; and not __fish_seen_subcommand_from status renew help" -l json -d 'Print results as JSON on stdout; notes, warnings and errors as JSON on stderr, one object on each line'
complete -c kube-bundle -n "__fish_kube_bundle_using_subcommand pki; and not __fish_seen_subcommand_from status renew help" -s q -l quiet -d 'Print only results, warnings and errors'
complete -c kube-bundle -n "__fish_kube_bundle_using_subcommand pki; and not __fish_seen_subcommand_from status renew help" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c kube-bundle -n "__fish_kube_bundle_using_subcommand pki; and not __fish_seen_subcommand_from status renew help" -f -a "status" -d 'Show all certificates: who signed them, and when they expire'
complete -c kube-bundle -n "__fish_kube_bundle_using_subcommand pki; and not __fish_seen_subcommand_from status renew help" -f -a "renew" -d 'Reissue certificates, and keep their keys; without an ID, all except CAs'
complete -c kube-bundle -n "__fish_kube_bundle_using_subcommand pki; and not __fish_seen_subcommand_from status renew help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c kube-bundle -n "__fish_kube_bundle_using_subcommand pki; and __fish_seen_subcommand_from status" -s c -l cluster -d 'File that describes the cluster' -r -F
complete -c kube-bundle -n "__fish_kube_bundle_using_subcommand pki; and __fish_seen_subcommand_from status" -l recipe -d 'Use this recipe instead of the one in cluster.toml: the name of an embedded one, or ./DIR' -r
complete -c kube-bundle -n "__fish_kube_bundle_using_subcommand pki; and __fish_seen_subcommand_from status" -l check -d 'Instead of the table, name what ends within this many days; exit code 1 if there is any' -r
complete -c kube-bundle -n "__fish_kube_bundle_using_subcommand pki; and __fish_seen_subcommand_from status" -l color -d 'When to use colours' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` is set'
always\t'Always'
never\t'Never'"
complete -c kube-bundle -n "__fish_kube_bundle_using_subcommand pki; and __fish_seen_subcommand_from status" -l json -d 'Print results as JSON on stdout; notes, warnings and errors as JSON on stderr, one object on each line'
complete -c kube-bundle -n "__fish_kube_bundle_using_subcommand pki; and __fish_seen_subcommand_from status" -s q -l quiet -d 'Print only results, warnings and errors'
complete -c kube-bundle -n "__fish_kube_bundle_using_subcommand pki; and __fish_seen_subcommand_from status" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c kube-bundle -n "__fish_kube_bundle_using_subcommand pki; and __fish_seen_subcommand_from renew" -s c -l cluster -d 'File that describes the cluster' -r -F
complete -c kube-bundle -n "__fish_kube_bundle_using_subcommand pki; and __fish_seen_subcommand_from renew" -l recipe -d 'Use this recipe instead of the one in cluster.toml: the name of an embedded one, or ./DIR' -r
complete -c kube-bundle -n "__fish_kube_bundle_using_subcommand pki; and __fish_seen_subcommand_from renew" -l color -d 'When to use colours' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` is set'
always\t'Always'
never\t'Never'"
complete -c kube-bundle -n "__fish_kube_bundle_using_subcommand pki; and __fish_seen_subcommand_from renew" -l json -d 'Print results as JSON on stdout; notes, warnings and errors as JSON on stderr, one object on each line'
complete -c kube-bundle -n "__fish_kube_bundle_using_subcommand pki; and __fish_seen_subcommand_from renew" -s q -l quiet -d 'Print only results, warnings and errors'
complete -c kube-bundle -n "__fish_kube_bundle_using_subcommand pki; and __fish_seen_subcommand_from renew" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c kube-bundle -n "__fish_kube_bundle_using_subcommand pki; and __fish_seen_subcommand_from help" -f -a "status" -d 'Show all certificates: who signed them, and when they expire'
complete -c kube-bundle -n "__fish_kube_bundle_using_subcommand pki; and __fish_seen_subcommand_from help" -f -a "renew" -d 'Reissue certificates, and keep their keys; without an ID, all except CAs'
complete -c kube-bundle -n "__fish_kube_bundle_using_subcommand pki; and __fish_seen_subcommand_from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c kube-bundle -n "__fish_kube_bundle_using_subcommand recipe; and not __fish_seen_subcommand_from list show export pin help" -l color -d 'When to use colours' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` is set'
always\t'Always'
never\t'Never'"
complete -c kube-bundle -n "__fish_kube_bundle_using_subcommand recipe; and not __fish_seen_subcommand_from list show export pin help" -l json -d 'Print results as JSON on stdout; notes, warnings and errors as JSON on stderr, one object on each line'
complete -c kube-bundle -n "__fish_kube_bundle_using_subcommand recipe; and not __fish_seen_subcommand_from list show export pin help" -s q -l quiet -d 'Print only results, warnings and errors'
complete -c kube-bundle -n "__fish_kube_bundle_using_subcommand recipe; and not __fish_seen_subcommand_from list show export pin help" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c kube-bundle -n "__fish_kube_bundle_using_subcommand recipe; and not __fish_seen_subcommand_from list show export pin help" -f -a "list" -d 'List the embedded recipes'
complete -c kube-bundle -n "__fish_kube_bundle_using_subcommand recipe; and not __fish_seen_subcommand_from list show export pin help" -f -a "show" -d 'Show a recipe: components, pinned digests and who published them, files'
complete -c kube-bundle -n "__fish_kube_bundle_using_subcommand recipe; and not __fish_seen_subcommand_from list show export pin help" -f -a "export" -d 'Write an editable copy of a recipe'
complete -c kube-bundle -n "__fish_kube_bundle_using_subcommand recipe; and not __fish_seen_subcommand_from list show export pin help" -f -a "pin" -d 'Compute digests and sizes of your own binaries, and write them into recipe.toml'
complete -c kube-bundle -n "__fish_kube_bundle_using_subcommand recipe; and not __fish_seen_subcommand_from list show export pin help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c kube-bundle -n "__fish_kube_bundle_using_subcommand recipe; and __fish_seen_subcommand_from list" -l color -d 'When to use colours' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` is set'
always\t'Always'
never\t'Never'"
complete -c kube-bundle -n "__fish_kube_bundle_using_subcommand recipe; and __fish_seen_subcommand_from list" -l json -d 'Print results as JSON on stdout; notes, warnings and errors as JSON on stderr, one object on each line'
complete -c kube-bundle -n "__fish_kube_bundle_using_subcommand recipe; and __fish_seen_subcommand_from list" -s q -l quiet -d 'Print only results, warnings and errors'
complete -c kube-bundle -n "__fish_kube_bundle_using_subcommand recipe; and __fish_seen_subcommand_from list" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c kube-bundle -n "__fish_kube_bundle_using_subcommand recipe; and __fish_seen_subcommand_from show" -l color -d 'When to use colours' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` is set'
always\t'Always'
never\t'Never'"
complete -c kube-bundle -n "__fish_kube_bundle_using_subcommand recipe; and __fish_seen_subcommand_from show" -l json -d 'Print results as JSON on stdout; notes, warnings and errors as JSON on stderr, one object on each line'
complete -c kube-bundle -n "__fish_kube_bundle_using_subcommand recipe; and __fish_seen_subcommand_from show" -s q -l quiet -d 'Print only results, warnings and errors'
complete -c kube-bundle -n "__fish_kube_bundle_using_subcommand recipe; and __fish_seen_subcommand_from show" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c kube-bundle -n "__fish_kube_bundle_using_subcommand recipe; and __fish_seen_subcommand_from export" -l color -d 'When to use colours' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` is set'
always\t'Always'
never\t'Never'"
complete -c kube-bundle -n "__fish_kube_bundle_using_subcommand recipe; and __fish_seen_subcommand_from export" -l json -d 'Print results as JSON on stdout; notes, warnings and errors as JSON on stderr, one object on each line'
complete -c kube-bundle -n "__fish_kube_bundle_using_subcommand recipe; and __fish_seen_subcommand_from export" -s q -l quiet -d 'Print only results, warnings and errors'
complete -c kube-bundle -n "__fish_kube_bundle_using_subcommand recipe; and __fish_seen_subcommand_from export" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c kube-bundle -n "__fish_kube_bundle_using_subcommand recipe; and __fish_seen_subcommand_from pin" -l from -d 'Directory that holds the binaries' -r -F
complete -c kube-bundle -n "__fish_kube_bundle_using_subcommand recipe; and __fish_seen_subcommand_from pin" -l color -d 'When to use colours' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` is set'
always\t'Always'
never\t'Never'"
complete -c kube-bundle -n "__fish_kube_bundle_using_subcommand recipe; and __fish_seen_subcommand_from pin" -l json -d 'Print results as JSON on stdout; notes, warnings and errors as JSON on stderr, one object on each line'
complete -c kube-bundle -n "__fish_kube_bundle_using_subcommand recipe; and __fish_seen_subcommand_from pin" -s q -l quiet -d 'Print only results, warnings and errors'
complete -c kube-bundle -n "__fish_kube_bundle_using_subcommand recipe; and __fish_seen_subcommand_from pin" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c kube-bundle -n "__fish_kube_bundle_using_subcommand recipe; and __fish_seen_subcommand_from help" -f -a "list" -d 'List the embedded recipes'
complete -c kube-bundle -n "__fish_kube_bundle_using_subcommand recipe; and __fish_seen_subcommand_from help" -f -a "show" -d 'Show a recipe: components, pinned digests and who published them, files'
complete -c kube-bundle -n "__fish_kube_bundle_using_subcommand recipe; and __fish_seen_subcommand_from help" -f -a "export" -d 'Write an editable copy of a recipe'
complete -c kube-bundle -n "__fish_kube_bundle_using_subcommand recipe; and __fish_seen_subcommand_from help" -f -a "pin" -d 'Compute digests and sizes of your own binaries, and write them into recipe.toml'
complete -c kube-bundle -n "__fish_kube_bundle_using_subcommand recipe; and __fish_seen_subcommand_from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c kube-bundle -n "__fish_kube_bundle_using_subcommand store; and not __fish_seen_subcommand_from prune help" -l color -d 'When to use colours' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` is set'
always\t'Always'
never\t'Never'"
complete -c kube-bundle -n "__fish_kube_bundle_using_subcommand store; and not __fish_seen_subcommand_from prune help" -l json -d 'Print results as JSON on stdout; notes, warnings and errors as JSON on stderr, one object on each line'
complete -c kube-bundle -n "__fish_kube_bundle_using_subcommand store; and not __fish_seen_subcommand_from prune help" -s q -l quiet -d 'Print only results, warnings and errors'
complete -c kube-bundle -n "__fish_kube_bundle_using_subcommand store; and not __fish_seen_subcommand_from prune help" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c kube-bundle -n "__fish_kube_bundle_using_subcommand store; and not __fish_seen_subcommand_from prune help" -f -a "prune" -d 'Remove compressed programs that no build has used lately; a later build makes them again'
complete -c kube-bundle -n "__fish_kube_bundle_using_subcommand store; and not __fish_seen_subcommand_from prune help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c kube-bundle -n "__fish_kube_bundle_using_subcommand store; and __fish_seen_subcommand_from prune" -l days -d 'Remove what was not used for this many days; 0 removes everything' -r
complete -c kube-bundle -n "__fish_kube_bundle_using_subcommand store; and __fish_seen_subcommand_from prune" -l color -d 'When to use colours' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` is set'
always\t'Always'
never\t'Never'"
complete -c kube-bundle -n "__fish_kube_bundle_using_subcommand store; and __fish_seen_subcommand_from prune" -l json -d 'Print results as JSON on stdout; notes, warnings and errors as JSON on stderr, one object on each line'
complete -c kube-bundle -n "__fish_kube_bundle_using_subcommand store; and __fish_seen_subcommand_from prune" -s q -l quiet -d 'Print only results, warnings and errors'
complete -c kube-bundle -n "__fish_kube_bundle_using_subcommand store; and __fish_seen_subcommand_from prune" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c kube-bundle -n "__fish_kube_bundle_using_subcommand store; and __fish_seen_subcommand_from help" -f -a "prune" -d 'Remove compressed programs that no build has used lately; a later build makes them again'
complete -c kube-bundle -n "__fish_kube_bundle_using_subcommand store; and __fish_seen_subcommand_from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c kube-bundle -n "__fish_kube_bundle_using_subcommand explain" -l color -d 'When to use colours' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` is set'
always\t'Always'
never\t'Never'"
complete -c kube-bundle -n "__fish_kube_bundle_using_subcommand explain" -l json -d 'Print results as JSON on stdout; notes, warnings and errors as JSON on stderr, one object on each line'
complete -c kube-bundle -n "__fish_kube_bundle_using_subcommand explain" -s q -l quiet -d 'Print only results, warnings and errors'
complete -c kube-bundle -n "__fish_kube_bundle_using_subcommand explain" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c kube-bundle -n "__fish_kube_bundle_using_subcommand schema" -l color -d 'When to use colours' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` is set'
always\t'Always'
never\t'Never'"
complete -c kube-bundle -n "__fish_kube_bundle_using_subcommand schema" -l json -d 'Print results as JSON on stdout; notes, warnings and errors as JSON on stderr, one object on each line'
complete -c kube-bundle -n "__fish_kube_bundle_using_subcommand schema" -s q -l quiet -d 'Print only results, warnings and errors'
complete -c kube-bundle -n "__fish_kube_bundle_using_subcommand schema" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c kube-bundle -n "__fish_kube_bundle_using_subcommand completions" -l color -d 'When to use colours' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` is set'
always\t'Always'
never\t'Never'"
complete -c kube-bundle -n "__fish_kube_bundle_using_subcommand completions" -l json -d 'Print results as JSON on stdout; notes, warnings and errors as JSON on stderr, one object on each line'
complete -c kube-bundle -n "__fish_kube_bundle_using_subcommand completions" -s q -l quiet -d 'Print only results, warnings and errors'
complete -c kube-bundle -n "__fish_kube_bundle_using_subcommand completions" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c kube-bundle -n "__fish_kube_bundle_using_subcommand demo" -s o -l out -d 'Output directory' -r -F
complete -c kube-bundle -n "__fish_kube_bundle_using_subcommand demo" -l color -d 'When to use colours' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` is set'
always\t'Always'
never\t'Never'"
complete -c kube-bundle -n "__fish_kube_bundle_using_subcommand demo" -l json -d 'Print results as JSON on stdout; notes, warnings and errors as JSON on stderr, one object on each line'
complete -c kube-bundle -n "__fish_kube_bundle_using_subcommand demo" -s q -l quiet -d 'Print only results, warnings and errors'
complete -c kube-bundle -n "__fish_kube_bundle_using_subcommand demo" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c kube-bundle -n "__fish_kube_bundle_using_subcommand help; and not __fish_seen_subcommand_from init plan fetch build verify sign trust inspect diff pki recipe store explain schema completions demo help" -f -a "init" -d 'Write a commented cluster.toml: with example addresses to replace, or with your machines'
complete -c kube-bundle -n "__fish_kube_bundle_using_subcommand help; and not __fish_seen_subcommand_from init plan fetch build verify sign trust inspect diff pki recipe store explain schema completions demo help" -f -a "plan" -d 'Show what a build would make: machines, files, certificates, downloads'
complete -c kube-bundle -n "__fish_kube_bundle_using_subcommand help; and not __fish_seen_subcommand_from init plan fetch build verify sign trust inspect diff pki recipe store explain schema completions demo help" -f -a "fetch" -d 'Download everything that a build needs into the store, where all builds find it'
complete -c kube-bundle -n "__fish_kube_bundle_using_subcommand help; and not __fish_seen_subcommand_from init plan fetch build verify sign trust inspect diff pki recipe store explain schema completions demo help" -f -a "build" -d 'Build the bundle'
complete -c kube-bundle -n "__fish_kube_bundle_using_subcommand help; and not __fish_seen_subcommand_from init plan fetch build verify sign trust inspect diff pki recipe store explain schema completions demo help" -f -a "verify" -d 'Verify a bundle, or one of its artifacts, against its checksums and signatures'
complete -c kube-bundle -n "__fish_kube_bundle_using_subcommand help; and not __fish_seen_subcommand_from init plan fetch build verify sign trust inspect diff pki recipe store explain schema completions demo help" -f -a "sign" -d 'Sign a bundle: its checksum list, and its index of packages'
complete -c kube-bundle -n "__fish_kube_bundle_using_subcommand help; and not __fish_seen_subcommand_from init plan fetch build verify sign trust inspect diff pki recipe store explain schema completions demo help" -f -a "trust" -d 'Choose whose signatures are trusted'
complete -c kube-bundle -n "__fish_kube_bundle_using_subcommand help; and not __fish_seen_subcommand_from init plan fetch build verify sign trust inspect diff pki recipe store explain schema completions demo help" -f -a "inspect" -d 'List the files of a bundle or of one of its artifacts, without unpacking it'
complete -c kube-bundle -n "__fish_kube_bundle_using_subcommand help; and not __fish_seen_subcommand_from init plan fetch build verify sign trust inspect diff pki recipe store explain schema completions demo help" -f -a "diff" -d 'Compare two bundles: machines, versions, flags of units, certificates, files'
complete -c kube-bundle -n "__fish_kube_bundle_using_subcommand help; and not __fish_seen_subcommand_from init plan fetch build verify sign trust inspect diff pki recipe store explain schema completions demo help" -f -a "pki" -d 'Show and renew keys and certificates'
complete -c kube-bundle -n "__fish_kube_bundle_using_subcommand help; and not __fish_seen_subcommand_from init plan fetch build verify sign trust inspect diff pki recipe store explain schema completions demo help" -f -a "recipe" -d 'Show, copy and edit recipes: Kubernetes releases as data'
complete -c kube-bundle -n "__fish_kube_bundle_using_subcommand help; and not __fish_seen_subcommand_from init plan fetch build verify sign trust inspect diff pki recipe store explain schema completions demo help" -f -a "store" -d 'Clean up the store: the cache of downloads and compressed programs that all builds share'
complete -c kube-bundle -n "__fish_kube_bundle_using_subcommand help; and not __fish_seen_subcommand_from init plan fetch build verify sign trust inspect diff pki recipe store explain schema completions demo help" -f -a "explain" -d 'Explain a key of cluster.toml: what it means, what it takes, its default'
complete -c kube-bundle -n "__fish_kube_bundle_using_subcommand help; and not __fish_seen_subcommand_from init plan fetch build verify sign trust inspect diff pki recipe store explain schema completions demo help" -f -a "schema" -d 'Print a JSON Schema of cluster.toml, for editors that check and complete TOML'
complete -c kube-bundle -n "__fish_kube_bundle_using_subcommand help; and not __fish_seen_subcommand_from init plan fetch build verify sign trust inspect diff pki recipe store explain schema completions demo help" -f -a "completions" -d 'Print what completes kube-bundle\'s commands and options in a shell'
complete -c kube-bundle -n "__fish_kube_bundle_using_subcommand help; and not __fish_seen_subcommand_from init plan fetch build verify sign trust inspect diff pki recipe store explain schema completions demo help" -f -a "demo" -d 'Run the whole pipeline with stand-in programs, without network or files'
complete -c kube-bundle -n "__fish_kube_bundle_using_subcommand help; and not __fish_seen_subcommand_from init plan fetch build verify sign trust inspect diff pki recipe store explain schema completions demo help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c kube-bundle -n "__fish_kube_bundle_using_subcommand help; and __fish_seen_subcommand_from trust" -f -a "init" -d 'Write a directory of trusted keys, for `verify --trust`, install.sh, ssh-keygen, gpgv, apt and openssl'
complete -c kube-bundle -n "__fish_kube_bundle_using_subcommand help; and __fish_seen_subcommand_from pki" -f -a "status" -d 'Show all certificates: who signed them, and when they expire'
complete -c kube-bundle -n "__fish_kube_bundle_using_subcommand help; and __fish_seen_subcommand_from pki" -f -a "renew" -d 'Reissue certificates, and keep their keys; without an ID, all except CAs'
complete -c kube-bundle -n "__fish_kube_bundle_using_subcommand help; and __fish_seen_subcommand_from recipe" -f -a "list" -d 'List the embedded recipes'
complete -c kube-bundle -n "__fish_kube_bundle_using_subcommand help; and __fish_seen_subcommand_from recipe" -f -a "show" -d 'Show a recipe: components, pinned digests and who published them, files'
complete -c kube-bundle -n "__fish_kube_bundle_using_subcommand help; and __fish_seen_subcommand_from recipe" -f -a "export" -d 'Write an editable copy of a recipe'
complete -c kube-bundle -n "__fish_kube_bundle_using_subcommand help; and __fish_seen_subcommand_from recipe" -f -a "pin" -d 'Compute digests and sizes of your own binaries, and write them into recipe.toml'
complete -c kube-bundle -n "__fish_kube_bundle_using_subcommand help; and __fish_seen_subcommand_from store" -f -a "prune" -d 'Remove compressed programs that no build has used lately; a later build makes them again'
