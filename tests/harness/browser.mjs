// Debian's Chromium through playwright-core, deaf to everything but this machine. What tests drive by default is its headless shell: the
// same engine and network stack without the browser's own windows, toolbars and profile around it, which cost 1.5 s of a core a page. With
// --full it is the whole browser, and for a test that needs something of it, such as its settings.
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { chromium } from 'playwright-core';
import { temporaryDirectory } from './server.mjs';

export const WHOLE_CHROMIUM = process.env.STOA_CHROMIUM || '/usr/bin/chromium';
const CHROMIUM = process.env.STOA_CHROMIUM || (process.env.STOA_FULL === '1' ? WHOLE_CHROMIUM : '/usr/bin/chromium-headless-shell');

// A home directory whose certificate store has them.
function trusting(roots) {
    const home = temporaryDirectory('home');
    const store = path.join(home, '.pki/nssdb');
    fs.mkdirSync(store, { recursive: true });
    const certutil = (args, input) => execFileSync('certutil', ['-d', `sql:${store}`, ...args], { input, stdio: ['pipe', 'ignore', 'inherit'] });
    certutil(['-N', '--empty-password']);
    roots.forEach((pem, n) => certutil(['-A', '-n', `root${n}`, '-t', 'C,,'], pem));
    return home;
}

/**
 * Gives {browser, open(url, options), close()}. `open` gives a page and `errors`: console errors, uncaught exceptions and failed requests
 * as they happen. `hosts` maps names to addresses: {'x.apps.test': '127.0.0.1'}; every other name but localhost does not resolve.
 * `args` are more flags: a service worker behind a self-signed certificate needs --ignore-certificate-errors. With `roots`, a list of PEM
 * texts, those authorities are trusted; pages are then to be opened with {ignoreHTTPSErrors: false}.
 */
export async function openBrowser({ hosts = {}, args = [], roots } = {}) {
    const rules = [...Object.entries(hosts).map(([name, address]) => `MAP ${name} ${address}`), 'MAP * ~NOTFOUND', 'EXCLUDE localhost', 'EXCLUDE 127.0.0.1'];
    const env = roots ? { ...process.env, HOME: trusting(roots) } : process.env;
    const browser = await chromium.launch({
        env,
        executablePath: CHROMIUM,
        args: [
            ...(process.getuid() === 0 ? ['--no-sandbox'] : []),
            '--disable-background-networking', '--disable-component-update', '--disable-sync', '--disable-default-apps', '--no-first-run',
            '--disable-domain-reliability', '--disable-client-side-phishing-detection', '--metrics-recording-only', '--disable-dev-shm-usage',
            `--host-resolver-rules=${rules.join(', ')}`, ...args,
        ],
    });
    return {
        browser,
        async open(url, options = {}) {
            const context = await browser.newContext({ ignoreHTTPSErrors: true, ...options });
            const page = await context.newPage();
            const errors = [];
            page.on('console', (message) => { if (message.type() === 'error') errors.push(message.text()); });
            page.on('pageerror', (error) => errors.push(String(error)));
            page.on('requestfailed', (failed) => errors.push(`${failed.url()}: ${failed.failure()?.errorText}`));
            await page.goto(url);
            return { page, errors, context };
        },
        close: () => browser.close(),
    };
}
