# Print an optspec for argparse to handle cmd's options that are independent of any subcommand.
function __fish_portcullis_global_optspecs
    string join \n h/help V/version
end

function __fish_portcullis_needs_command
    # Figure out if the current invocation already has a command.
    set -l cmd (commandline -opc)
    set -e cmd[1]
    argparse -s (__fish_portcullis_global_optspecs) -- $cmd 2>/dev/null
    or return
    if set -q argv[1]
        # Also print the command, so this can be used to figure out what it is.
        echo $argv[1]
        return 1
    end
    return 0
end

function __fish_portcullis_using_subcommand
    set -l cmd (__fish_portcullis_needs_command)
    test -z "$cmd"
    and return 1
    contains -- $cmd[1] $argv
end

complete -c portcullis -n "__fish_portcullis_needs_command" -s h -l help -d 'Print help'
complete -c portcullis -n "__fish_portcullis_needs_command" -s V -l version -d 'Print version'
complete -c portcullis -n "__fish_portcullis_needs_command" -f -a "scan" -d 'Replay logs on their own clock: who attacked, who would have been banned, when and for how long'
complete -c portcullis -n "__fish_portcullis_needs_command" -f -a "match" -d 'Show line by line which rule matches and which address it finds'
complete -c portcullis -n "__fish_portcullis_needs_command" -f -a "explain" -d 'Say what a log line means, what would follow from it, and what an operator should check'
complete -c portcullis -n "__fish_portcullis_needs_command" -f -a "check" -d 'Check the configuration and rule files: syntax, samples, and an attack on every rule'
complete -c portcullis -n "__fish_portcullis_needs_command" -f -a "rules" -d 'List the rule sets in force, or print the text of one as a start for your own'
complete -c portcullis -n "__fish_portcullis_needs_command" -f -a "completions" -d 'Print completions for a shell'
complete -c portcullis -n "__fish_portcullis_needs_command" -f -a "generate" -d 'Write the manual page and completions into a directory (for packagers)'
complete -c portcullis -n "__fish_portcullis_needs_command" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c portcullis -n "__fish_portcullis_using_subcommand scan" -s c -l config -d 'The configuration file [default: the installed one, if there is any]' -r -F
complete -c portcullis -n "__fish_portcullis_using_subcommand scan" -l top -d 'How many offenders to list' -r
complete -c portcullis -n "__fish_portcullis_using_subcommand scan" -l json -d 'Print one JSON object'
complete -c portcullis -n "__fish_portcullis_using_subcommand scan" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c portcullis -n "__fish_portcullis_using_subcommand match" -s c -l config -d 'The configuration file [default: the installed one, if there is any]' -r -F
complete -c portcullis -n "__fish_portcullis_using_subcommand match" -l json -d 'Print one JSON object a line'
complete -c portcullis -n "__fish_portcullis_using_subcommand match" -l all -d 'Also the lines that no rule matches'
complete -c portcullis -n "__fish_portcullis_using_subcommand match" -s h -l help -d 'Print help'
complete -c portcullis -n "__fish_portcullis_using_subcommand explain" -s c -l config -d 'The configuration file [default: the installed one, if there is any]' -r -F
complete -c portcullis -n "__fish_portcullis_using_subcommand explain" -l json -d 'Print a JSON array, with one object for each rule that knows the line'
complete -c portcullis -n "__fish_portcullis_using_subcommand explain" -s h -l help -d 'Print help'
complete -c portcullis -n "__fish_portcullis_using_subcommand check" -s c -l config -d 'The configuration file [default: the installed one, if there is any]' -r -F
complete -c portcullis -n "__fish_portcullis_using_subcommand check" -l json -d 'Print one JSON object'
complete -c portcullis -n "__fish_portcullis_using_subcommand check" -s h -l help -d 'Print help'
complete -c portcullis -n "__fish_portcullis_using_subcommand rules" -s c -l config -d 'The configuration file [default: the installed one, if there is any]' -r -F
complete -c portcullis -n "__fish_portcullis_using_subcommand rules" -l json -d 'Print a JSON array with one object for each rule set, or the object of the one named, with its text'
complete -c portcullis -n "__fish_portcullis_using_subcommand rules" -s h -l help -d 'Print help'
complete -c portcullis -n "__fish_portcullis_using_subcommand completions" -s h -l help -d 'Print help'
complete -c portcullis -n "__fish_portcullis_using_subcommand generate" -s h -l help -d 'Print help'
complete -c portcullis -n "__fish_portcullis_using_subcommand help; and not __fish_seen_subcommand_from scan match explain check rules completions generate help" -f -a "scan" -d 'Replay logs on their own clock: who attacked, who would have been banned, when and for how long'
complete -c portcullis -n "__fish_portcullis_using_subcommand help; and not __fish_seen_subcommand_from scan match explain check rules completions generate help" -f -a "match" -d 'Show line by line which rule matches and which address it finds'
complete -c portcullis -n "__fish_portcullis_using_subcommand help; and not __fish_seen_subcommand_from scan match explain check rules completions generate help" -f -a "explain" -d 'Say what a log line means, what would follow from it, and what an operator should check'
complete -c portcullis -n "__fish_portcullis_using_subcommand help; and not __fish_seen_subcommand_from scan match explain check rules completions generate help" -f -a "check" -d 'Check the configuration and rule files: syntax, samples, and an attack on every rule'
complete -c portcullis -n "__fish_portcullis_using_subcommand help; and not __fish_seen_subcommand_from scan match explain check rules completions generate help" -f -a "rules" -d 'List the rule sets in force, or print the text of one as a start for your own'
complete -c portcullis -n "__fish_portcullis_using_subcommand help; and not __fish_seen_subcommand_from scan match explain check rules completions generate help" -f -a "completions" -d 'Print completions for a shell'
complete -c portcullis -n "__fish_portcullis_using_subcommand help; and not __fish_seen_subcommand_from scan match explain check rules completions generate help" -f -a "generate" -d 'Write the manual page and completions into a directory (for packagers)'
complete -c portcullis -n "__fish_portcullis_using_subcommand help; and not __fish_seen_subcommand_from scan match explain check rules completions generate help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
