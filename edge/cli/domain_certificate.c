// A certificate of the owner's own for a domain. Files are followed through symbolic links, since that is
// how ACME clients leave them.
#include <stdio.h>
#include <stdlib.h>
#include "edge/cli/api.h"
#include "edge/cli/domain_show.h"
#include "edge/cli/files.h"
#include "edge/cli/show.h"

enum { PEM_MAX = 64 * 1024 };

static enum cli_exit read_pem(struct cli *cli, enum option option, json_t *body, const char *member)
{
    struct fault fault = {0};
    struct stat st;
    struct buf text;
    AUTOFREE char *path = realpath(cli->options.value[option], NULL);
    if (path == NULL)
        return cli_fail(cli, EXIT_USAGE, "no_such_file", "There is no file \"%.200s\".",
                        cli->options.value[option]);
    buf_init(&text, PEM_MAX);
    enum fail fail = files_read(path, &text, &st, &fault);
    if (fail == FAIL_NONE)
        json_object_set_new(body, member, json_stringn(text.p, text.n));
    if (text.p != NULL)
        explicit_bzero(text.p, text.n);
    buf_fini(&text);
    if (fail != FAIL_NONE)
        return cli_fail(cli, EXIT_USAGE, fault.code, "%s", fault.public_text);
    return EXIT_DONE;
}

static enum cli_exit send_change(struct cli *cli, const char *method, json_t *body,
                                 const char *done)
{
    AUTOFREE char *path = api_path("/api/public-apps/domains/%s/certificate", cli->options.args[0]);
    json_auto_t *domain = NULL;
    struct api_request request = API_REQUEST(method, path);
    request.json = body;
    enum cli_exit exit = api_call(cli, &request, &domain);
    if (exit != EXIT_DONE)
        return exit;
    if (cli->output.json)
        return cli_json(cli, json_incref(domain));
    if (cli->output.quiet) {
        show_id(domain);
        return EXIT_DONE;
    }
    printf("%s ", done);
    output_text(&cli->output, stdout, STYLE_STRONG, show_member(domain, "unicodeHostname"));
    fputs("\n\n", stdout);
    show_domain(cli, domain);
    return EXIT_DONE;
}

enum cli_exit command_domain_certificate(struct cli *cli)
{
    const struct options *o = &cli->options;
    bool has_both = options_has(o, OPT_CHAIN) && options_has(o, OPT_KEY),
         has_any = options_has(o, OPT_CHAIN) || options_has(o, OPT_KEY);
    if (options_has(o, OPT_REMOVE) ? has_any : !has_both)
        return cli_fail(cli, EXIT_USAGE, "usage", "Give --chain FILE and --key FILE, or --remove.");
    if (options_has(o, OPT_REMOVE))
        return send_change(cli, "DELETE", NULL, "Gave up the certificate of");
    json_auto_t *body = json_object();
    enum cli_exit exit = read_pem(cli, OPT_CHAIN, body, "chainPem");
    if (exit == EXIT_DONE)
        exit = read_pem(cli, OPT_KEY, body, "keyPem");
    return exit == EXIT_DONE ? send_change(cli, "PUT", body, "Took the certificate for") : exit;
}
