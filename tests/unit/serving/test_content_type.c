#include "bundles/content_type.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h> // last: it defines fail()

static void expect_type(const char *path, const char *type)
{
    str got = content_type_for_path(str_from(path));
    if (!str_eq(got, str_from(type)))
        fail_msg("%s: %.*s, not %s", path, STR_FMT(got), type);
}

static void test_types(void **state)
{
    expect_type("index.html", "text/html; charset=utf-8");
    expect_type("a/b/INDEX.HTML", "text/html; charset=utf-8");
    expect_type("app.js", "text/javascript; charset=utf-8");
    expect_type("app.js.map", "application/json");
    expect_type("x.tar.gz", "application/gzip");
    expect_type("a.b/c", "application/octet-stream");
    expect_type("LICENSE", "application/octet-stream");
    expect_type(".html", "application/octet-stream");
    expect_type("x.", "application/octet-stream");
    expect_type("logo.svg", "image/svg+xml");
    expect_type("m.wasm", "application/wasm");
    expect_type(".well-known/apple-app-site-association", "application/json");
}

static void test_compressible(void **state)
{
    assert_true(content_type_is_compressible(STR("text/html; charset=utf-8")));
    assert_true(content_type_is_compressible(STR("image/svg+xml")));
    assert_true(content_type_is_compressible(STR("application/manifest+json")));
    assert_true(content_type_is_compressible(STR("application/wasm")));
    assert_false(content_type_is_compressible(STR("image/png")));
    assert_false(content_type_is_compressible(STR("font/woff2")));
    assert_false(content_type_is_compressible(STR("application/octet-stream")));
    assert_true(content_type_is_html(STR("text/html; charset=utf-8")));
    assert_false(content_type_is_html(STR("text/plain; charset=utf-8")));
}

static const char *const hashed[] = {
    "app.3f2a9c1b.js",
    "app-3f2a9c1b.js",
    "static/js/main.3f2a9c1b.chunk.js",
    "main.3f2a9c1b.js.map",
    "2.8f7c3a1d.chunk.css",
    "app-BxYz12Qa.js",
    "assets/index-BRBmoGS9.js",
    "assets/index-f40OySzR.js",
    "assets/index-n_ryQ3BS.css",
    "assets/react-CHdo91hT.svg",
    "_app/start.D3xk2Aq0.js",
    "framework-2c79e2a64abdb08b.js",
    "pages/_app-1a2b3c4d5e6f7a8b.js",
    "chunk-3XQ7KZPA.js",
    "index-a1b2c3d4.min.js",
    "5d41402abc4b2a76b9719d911017c592.png",
    "logo.5d41402abc4b2a76b971.svg",
    "style_3f2a9c1b.css",
    "chunk-x7k2p9qz.js",
    "app.3F2A9C1B.js",
    "a.e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855.js",
};

static const char *const plain[] = {
    "index.html",
    "app.js",
    "app.min.js",
    "jquery-3.7.1.min.js",
    "vue.global.prod.js",
    "app-1.2.3.js",
    "report-20240131.pdf",
    "report-2024-01-31.pdf",
    "photo-2024a001.jpg",
    "photo.20240131.jpg",
    "theme-DarkMode.css",
    "app-Version2.js",
    "icon-Frame123.svg",
    "icon-MacBook2.svg",
    "img-iPhone15.png",
    "docs-Web3Page.html",
    "clip-H264Demo.mp4",
    "icons-Tab-Bar2.svg",
    "app-homepage.js",
    "app-CHAPTER2.js",
    "frame-0000001f.png",
    "slide-00000012.png",
    "photo-12345678.jpg",
    "cafebabe.png",
    "app-deadbeef.js",
    "3f2a9c1b.js",
    "f81d4fae-7dec-11d0-a765-00a0c91e6bf6.png",
    "img-f81d4fae-7dec-11d0-a765-00a0c91e6bf6.png",
    "3f2a9c1b",
    "dir.3f2a9c1b/app.js",
    "app.3f2a9c1.js",
    "app-typescript.js",
    "background.js",
    "app-abcdefgh.js",
    "",
};

static void test_content_hashes(void **state)
{
    for (size_t i = 0; i < sizeof hashed / sizeof hashed[0]; i++)
        if (!path_has_content_hash(str_from(hashed[i])))
            fail_msg("%s is hashed", hashed[i]);
    for (size_t i = 0; i < sizeof plain / sizeof plain[0]; i++)
        if (path_has_content_hash(str_from(plain[i])))
            fail_msg("%s is not hashed", plain[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_types),
        cmocka_unit_test(test_compressible),
        cmocka_unit_test(test_content_hashes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
