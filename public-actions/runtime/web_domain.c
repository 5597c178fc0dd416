// ICU has the tables and the rules, and is in the process anyway: the engine stands on it.
#include "public-actions/runtime/web_domain.h"
#include <stdlib.h>
#include <unicode/uidna.h>

static const UIDNA *tables(void)
{
    static UIDNA *opened;
    UErrorCode code = U_ZERO_ERROR;
    if (opened == NULL)
        opened =
            uidna_openUTS46(UIDNA_CHECK_BIDI | UIDNA_CHECK_CONTEXTJ |
                                UIDNA_NONTRANSITIONAL_TO_ASCII | UIDNA_NONTRANSITIONAL_TO_UNICODE,
                            &code);
    if (opened == NULL)
        abort();
    return opened;
}

bool web_domain_to_ascii(const uint16_t *from, size_t n, char to[static WEB_DOMAIN_MAX],
                         size_t *ret_n)
{
    // CheckHyphens and VerifyDnsLength are off
    const uint32_t passed_over = UIDNA_ERROR_LEADING_HYPHEN | UIDNA_ERROR_TRAILING_HYPHEN |
                                 UIDNA_ERROR_HYPHEN_3_4 | UIDNA_ERROR_EMPTY_LABEL |
                                 UIDNA_ERROR_LABEL_TOO_LONG | UIDNA_ERROR_DOMAIN_NAME_TOO_LONG;
    UIDNAInfo info = UIDNA_INFO_INITIALIZER;
    UErrorCode code = U_ZERO_ERROR;
    UChar units[WEB_DOMAIN_MAX];
    if (n > WEB_DOMAIN_MAX)
        return false;
    int32_t length =
        uidna_nameToASCII(tables(), from, (int32_t)n, units, WEB_DOMAIN_MAX, &info, &code);
    if (U_FAILURE(code) || (info.errors & ~passed_over) != 0)
        return false;
    for (int32_t i = 0; i != length; ++i) {
        if (units[i] > 0x7f)
            return false;
        to[i] = (char)units[i];
    }
    *ret_n = (size_t)length;
    return true;
}
