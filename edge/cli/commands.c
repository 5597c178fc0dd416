// The table of commands. `stoa help` prints it, stoa(1) is checked against it.
#include "edge/cli/internal.h"

#define TARGET_TEXT                                                                                \
    "The server is the one named by --url, --data, STOA_URL, STOA_DATA or `stoa login`;\n"         \
    "without any, the one that runs on this machine.\n"

const struct command commands[] = {
    {"deploy", "FILE|DIR", "put an app online, or its next version",
     "FILE is a .pie file, or an archive (zip, tar, tar.gz, tar.xz, tar.zst) of public files; DIR\n"
     "is a folder of them, with an index.html or a public-config.yaml. An archive needs --plugin;\n"
     "a folder's app is named after it, or by --plugin. With --plugin, a .pie file of another\n"
     "name is refused. An app that does not exist yet is made.\n"
     "Names that begin with a dot (but .well-known), node_modules and editors' backups are left\n"
     "out of a folder; links are refused.\n",
     OPTS_SERVER | OPT_BIT(OPT_PLUGIN) | OPT_BIT(OPT_DRY_RUN) | OPT_BIT(OPT_WATCH), 1, 1,
     command_deploy},
    {"apps", "", "list the apps", TARGET_TEXT, OPTS_SERVER, 0, 0, command_apps},
    {"deployments", "APP", "list what was deployed of an app, newest first, or delete one",
     "The deployment marked with a * is the one visitors see. The server keeps so many of an app\n"
     "(keep_deployments, 100 by default); the oldest go when a new one comes. --rm deletes one "
     "that\n"
     "is not live, after asking, and makes room when a deploy is refused for want of it.\n",
     OPTS_SERVER | OPT_BIT(OPT_RM) | OPT_BIT(OPT_YES), 1, 1, command_deployments},
    {"rollback", "APP [DEPLOYMENT]", "switch back to an earlier deployment, or to a given one",
     "Without DEPLOYMENT, to what visitors saw before the present one was deployed. Files, code\n"
     "and manifest change together; the app's data stays as it is.\n",
     OPTS_SERVER, 1, 2, command_rollback},
    {"open", "APP", "print an app's link and open it in a browser",
     "The browser is started where there is a display (xdg-open).\n",
     OPTS_SERVER | OPT_BIT(OPT_PRINT), 1, 1, command_open},
    {"delete", "APP", "delete an app with all its deployments",
     "Asks first; --yes does not. An app with uploads or tables needs --keep-data or\n"
     "--delete-data; one with verified domains needs --force.\n",
     OPTS_SERVER | OPT_BIT(OPT_KEEP_DATA) | OPT_BIT(OPT_DELETE_DATA) | OPT_BIT(OPT_FORCE) |
         OPT_BIT(OPT_YES) | OPT_BIT(OPT_DRY_RUN),
     1, 1, command_delete},
    {"export", "APP [DEPLOYMENT]", "save a deployment's files as a tar archive",
     "Without DEPLOYMENT, the one visitors see. --source saves the .pie file instead, byte for\n"
     "byte. An existing file is replaced with --force only.\n",
     OPTS_SERVER | OPT_BIT(OPT_OUTPUT) | OPT_BIT(OPT_SOURCE) | OPT_BIT(OPT_FORCE), 1, 2,
     command_export},
    {"instances", "APP", "list an app's instances, make one, or delete one",
     "An instance is a published copy of an app, with a link of its own.\n",
     OPTS_SERVER | OPT_BIT(OPT_NEW) | OPT_BIT(OPT_RM) | OPT_BIT(OPT_YES), 1, 1, command_instances},
    {"runs", "APP", "list what visitors and you ran of an app, newest first",
     "APP may be an instance's id or slug, too. --id shows one run with what it logged and why it\n"
     "failed; --follow goes on and prints runs as they end, oldest first, until Ctrl-C.\n",
     OPTS_SERVER | OPT_BIT(OPT_FOLLOW) | OPT_BIT(OPT_ACTION) | OPT_BIT(OPT_OUTCOME) |
         OPT_BIT(OPT_ID),
     1, 1, command_runs},
    {"events", "APP", "list an app's heartbeat events, newest first",
     "APP may be an instance's id or slug, too. --follow goes on and prints events as they "
     "happen,\n"
     "oldest first, until Ctrl-C.\n",
     OPTS_SERVER | OPT_BIT(OPT_FOLLOW), 1, 1, command_events},
    {"subscriptions list", "", "list who is told of events", TARGET_TEXT, OPTS_SERVER, 0, 0,
     command_subscriptions_list},
    {"subscriptions add", "URL [EVENT]...", "have events sent to a URL, signed",
     "EVENT is an id of the manifest's heartbeatEvents; without any, all events. With --instance,\n"
     "only that app's or instance's. The secret that signs what is sent is shown once.\n",
     OPTS_SERVER | OPT_BIT(OPT_INSTANCE), 1, 24, command_subscriptions_add},
    {"subscriptions rm", "ID", "end a subscription, with what is still to be told",
     "ID is the one `stoa subscriptions list` shows.\n", OPTS_SERVER, 1, 1,
     command_subscriptions_rm},
    {"invoke", "APP ACTION [JSON]", "run an action of an app once, and print what came out",
     "As a visitor, unless --widget or --tool says otherwise: then as the app's owner, with what\n"
     "the widget was told and the run's id. JSON is the payload (with --tool, the input), {}\n"
     "unless given; - reads it from stdin. An error that the handler reported or threw ends with\n"
     "1. APP may be an instance's id or slug, too.\n",
     OPTS_SERVER | OPT_BIT(OPT_WIDGET) | OPT_BIT(OPT_TOOL), 2, 3, command_invoke},
    {"files", "[APP]", "list what was uploaded to an app, save a file, or delete one",
     "Uploads of visitors and files that handlers made, newest first. APP may be an instance's id\n"
     "or slug, too; without it, those of all apps, and what was kept of deleted ones. --get saves\n"
     "a file in this directory, under its own name or, where that is taken, with a number behind\n"
     "it; --output names another place, where an existing file is replaced with --force only.\n"
     "--rm asks first; --yes does not.\n",
     OPTS_SERVER | OPT_BIT(OPT_TYPE) | OPT_BIT(OPT_GET) | OPT_BIT(OPT_OUTPUT) | OPT_BIT(OPT_FORCE) |
         OPT_BIT(OPT_RM) | OPT_BIT(OPT_YES),
     0, 1, command_files},
    {"secrets", "APP [set|rm NAME]", "list an app's secrets, set one, or delete one",
     "Names and times only: a value never comes out again. set asks for the value on the\n"
     "terminal, or reads it from --file, or from stdin when that is no terminal; one line end at\n"
     "its end is left out. The manifest declares the names: developerSecrets are the app's,\n"
     "userSecrets an instance's, which stand over the app's. With --instance, that one's.\n",
     OPTS_SERVER | OPT_BIT(OPT_INSTANCE) | OPT_BIT(OPT_FILE), 1, 3, command_secrets},
    {"config", "APP [FIELD=VALUE]...", "show or set the values that an app's manifest asks for",
     "FIELD= puts a field back to its default. Tags are words with commas between.\n",
     OPTS_SERVER | OPT_BIT(OPT_INSTANCE), 1, 24, command_config},
    {"data", "APP [TABLE]", "list an app's tables, or print a table's rows",
     "Rows are those the app's owner sees; the first 100, unless --csv or --json ask for all.\n"
     "Cells over 64 Ki characters (divided by the number of columns) are cut.\n",
     OPTS_SERVER | OPT_BIT(OPT_CSV), 1, 2, command_data},
    {"db", "APP", "open psql in an app's database, as the app's own role",
     "Rows are those the app's owner sees (app.user_id is set). Needs psql. Where the server has\n"
     "its own PostgreSQL for apps' data, only on the server's machine, as root or the server's\n"
     "user. Statements may come from standard input.\n",
     OPTS_SERVER, 1, 1, command_db},
    {"instance settings", "APP [NAME=VALUE]...",
     "show or change who may call and upload, how often, and what with",
     "origins=https://a.example,...  other origins whose pages may call the actions\n"
     "visitor-action=60/30           a visitor may call one action 60 times a minute, 30 at once\n"
     "visitor=, instance=            the same for all actions of a visitor, and of all visitors\n"
     "action:NAME=5/2                a visitor, for the action NAME\n"
     "uploads=20, upload-bytes=100MiB  what a visitor may upload in an hour\n"
     "strip-images=yes               take place, camera and the like out of uploaded JPEG, PNG,\n"
     "                               WebP and GIF images; HEIC, AVIF, TIFF are then refused\n"
     "keep-runs=30, keep-uploads=90  days that runs and uploads are kept, if not more than the\n"
     "                               server's\n"
     "connection=NAME                the connection its handlers see; nothing: the newest\n"
     "Nothing behind the = is the server's default. APP may be an instance's id or slug, too.\n",
     OPTS_SERVER, 1, 24, command_instance_settings},
    {"domain add", "NAME APP", "claim a name of your own for an app, and see what to add to DNS",
     "APP may be an instance's id or slug, too. Nothing is served until the TXT record is there;\n"
     "the server looks for it by itself, soon and then less often, for a week.\n",
     OPTS_SERVER, 2, 2, command_domain_add},
    {"domain list", "", "list the domains, and how they stand", TARGET_TEXT, OPTS_SERVER, 0, 0,
     command_domain_list},
    {"domain show", "NAME", "show a domain: the records, what DNS answers now, what happens next",
     "NAME may be the domain's id, too.\n", OPTS_SERVER, 1, 1, command_domain_show},
    {"domain verify", "NAME", "look for the TXT record now",
     "With --wait, again and again until it is there; each new reason why not is printed. Ctrl-C\n"
     "ends the waiting; the server goes on by itself.\n",
     OPTS_SERVER | OPT_BIT(OPT_WAIT), 1, 1, command_domain_verify},
    {"domain set", "NAME SETTING=VALUE...", "redirect a domain, or have browsers keep to https",
     "redirect=NAME      visitors are sent to another domain of the same instance\n"
     "https-only=yes|no  http:// leads to https:// once there is a certificate (yes)\n"
     "hsts=SECONDS       browsers keep to https that long; SECONDS/subdomains, below it, too\n"
     "Nothing behind redirect= or hsts= is off.\n",
     OPTS_SERVER, 2, 24, command_domain_set},
    {"domain move", "NAME APP", "have a domain serve another app or instance of the project",
     "At once, without another proof. APP may be an instance's id or slug, too.\n", OPTS_SERVER, 2,
     2, command_domain_move},
    {"domain certificate", "NAME", "serve a domain with a certificate of your own",
     "--chain FILE and --key FILE give it: the domain's certificate first, then its issuers. With\n"
     "--remove the server orders one by itself again; yours is served until that is there.\n",
     OPTS_SERVER | OPT_BIT(OPT_CHAIN) | OPT_BIT(OPT_KEY) | OPT_BIT(OPT_REMOVE), 1, 1,
     command_domain_certificate},
    {"domain rm", "NAME", "give a domain up",
     "Asks first; --yes does not. A name that was served is nobody else's for a week.\n",
     OPTS_SERVER | OPT_BIT(OPT_YES), 1, 1, command_domain_rm},
    {"token create", "NAME", "make an API token; it is shown once",
     "The token can do no more than the one used to make it, and ends with it.\n",
     OPTS_SERVER | OPT_BIT(OPT_SCOPE) | OPT_BIT(OPT_EXPIRES), 1, 1, command_token_create},
    {"token list", "", "list the API tokens", TARGET_TEXT, OPTS_SERVER, 0, 0, command_token_list},
    {"token revoke", "ID", "end an API token, and those made with it",
     "ID is the one `stoa token list` shows.\n", OPTS_SERVER, 1, 1, command_token_revoke},
    {"project create", "NAME", "make a project and its first token (operator, or a platform)",
     "A project holds apps and has one owner. The token is shown once. With a platform's token\n"
     "the project is the platform's; the first token of one of its users makes it, too.\n",
     OPTS_SERVER | OPT_BIT(OPT_EXTERNAL_ID), 1, 1, command_project_create},
    {"platform create", "SLUG", "make a platform that embeds, and its first token (operator)",
     "SLUG stands in links to what the platform embeds. The platform has a project of its own,\n"
     "whose apps are its catalogue. The token manages the platform; it is shown once.\n",
     OPTS_SERVER | OPT_BIT(OPT_NAME), 1, 1, command_platform_create},
    {"platform list", "", "list the platforms (operator)", TARGET_TEXT, OPTS_SERVER, 0, 0,
     command_platform_list},
    {"platform token", "PLATFORM", "make another token of a platform (operator)",
     "For one that has lost its own. PLATFORM is its slug or id.\n",
     OPTS_SERVER | OPT_BIT(OPT_NAME), 1, 1, command_platform_token},
    {"platform projects", "", "list the platform's projects",
     "Takes a platform's token, as `stoa platform users` and `audit` do.\n", OPTS_SERVER, 0, 0,
     command_platform_projects},
    {"platform users", "", "list the platform's users, or switch one off or on",
     "Who is off is refused at once, whatever token they bring.\n",
     OPTS_SERVER | OPT_BIT(OPT_ON) | OPT_BIT(OPT_OFF), 0, 0, command_platform_users},
    {"platform audit", "", "print what was changed, by whom and from where",
     "The newest 100 events of all the platform's projects; with an admin's token, those of its\n"
     "own project.\n",
     OPTS_SERVER | OPT_BIT(OPT_PROJECT), 0, 0, command_platform_audit},
    {"pieces", "[APP]... [offered=yes|no] [tags=+TAG,-TAG]",
     "list the catalogue, or change what a platform offers its projects",
     "With the platform's token: what its owner project has deployed, whether its other projects\n"
     "are offered it, and its tags; APP... with offered= or tags= changes those, all or none. "
     "With\n"
     "a project's token: what it is offered.\n",
     OPTS_SERVER, 0, 24, command_pieces},
    {"signing-key create", "NAME", "make a key that your backend signs its users' tokens with",
     "Needs the platform's token. The private half is printed once, or with --out kept in a file\n"
     "that only you can read; with --public-key the key is your own. Without --origin it asks for\n"
     "them on the terminal: a page of no such origin can frame the builder or call the API.\n",
     OPTS_SERVER | OPT_BIT(OPT_ORIGIN) | OPT_BIT(OPT_PUBLIC_KEY) | OPT_BIT(OPT_OUT) |
         OPT_BIT(OPT_FORCE),
     1, 1, command_signing_key_create},
    {"signing-key list", "", "list the platform's signing keys", TARGET_TEXT, OPTS_SERVER, 0, 0,
     command_signing_key_list},
    {"signing-key show", "ID", "show a signing key's settings and its public half", TARGET_TEXT,
     OPTS_SERVER, 1, 1, command_signing_key_show},
    {"signing-key update", "ID [SETTING=VALUE]...", "change what a signing key allows",
     "--origin, given as often as need be, or\n"
     "origins=URL,URL...      replaces the origins that may frame the builder\n"
     "audience=TEXT           what a token's `aud` must be\n"
     "max-lifetime=10m        how long a token may live from its `iat` to its `exp`\n"
     "session=7d              how long a host page's session lasts\n"
     "absolute=12h            what no session outlives, from a token's first exchange\n"
     "single-use=yes|no       whether a token is taken once only\n"
     "status=active|disabled  whether its tokens are taken at all; sessions go on\n"
     "Nothing behind the = is the default.\n",
     OPTS_SERVER | OPT_BIT(OPT_ORIGIN) | OPT_BIT(OPT_NAME), 1, 24, command_signing_key_update},
    {"signing-key revoke", "ID", "end a signing key, and every session that came by it",
     "Asks first; --yes does not.\n", OPTS_SERVER | OPT_BIT(OPT_YES), 1, 1,
     command_signing_key_revoke},
    {"login", "URL", "keep a server's address and your token for it",
     "URL is the server's console origin. The token is the one of --token-file or STOA_TOKEN,\n"
     "else asked for on the terminal, or read from stdin when that is no terminal. It is checked,\n"
     "kept in a file that only you can read, and only ever sent to that origin.\n",
     OPTS_ALWAYS | OPT_BIT(OPT_TOKEN) | OPT_BIT(OPT_TOKEN_FILE) | OPT_BIT(OPT_CA) |
         OPT_BIT(OPT_INSECURE),
     1, 1, command_login},
    {"logout", "[URL]", "forget a server and its token",
     "Without URL, the one logged in to last. The token itself lives on: `stoa token revoke`.\n",
     OPTS_ALWAYS, 0, 1, command_logout},
    {"serve", "[OPTION]...", "run the server", "`stoa serve --help` lists its settings.\n",
     OPTS_ALWAYS, 0, 0, NULL},
    {"version", "", "print the version", "", OPTS_ALWAYS, 0, 0, command_version},
    {"help", "[COMMAND]", "show this, or what a command does", "", OPTS_ALWAYS, 0, 2, command_help},
};
const size_t command_count = sizeof commands / sizeof *commands;
