// What the host asked for, as far as it is fit to use. Read only after the exchange has succeeded.
import type { VendorInit } from '../sdk/src/messages';

export interface Options {
    initialRoute: string;
    /** '' or a path of the host's that our routes stand behind. */
    prefix: string;
    locale: string;
    mode?: 'light' | 'dark';
    font?: { url: string; family: string };
    hideSidebar: boolean;
    hideFolders: boolean;
    hideLogo: boolean;
    hideAppName: boolean;
    navigation: 'all' | 'home' | 'none';
    tellsHome: boolean;
    homeIcon: 'back' | 'logo';
}

/** A path of one's own origin, or nothing: no scheme, no authority, no way up. */
export function localPath(path: unknown): string | undefined {
    if (typeof path !== 'string' || path.length > 2048 || !/^\/(?![/\\])/.test(path) || /[\u0000-\u0020\\\u007f]/.test(path)) return undefined;
    const url = new URL(path, 'http://local.invalid');
    return url.host === 'local.invalid' && !url.pathname.startsWith('//') ? url.pathname + url.search : undefined;
}

// In a window of our own a style sheet of the host's could cover who asks. Asked at once: the opener
// may close itself.
const isWindow = !!window.opener;

function fontOf(url: unknown, family: unknown): Options['font'] {
    if (isWindow || typeof url !== 'string' || typeof family !== 'string' || !/^[A-Za-z0-9 _-]{1,64}$/.test(family)) return undefined;
    try {
        const parsed = new URL(url);
        return parsed.protocol === 'https:' ? { url: parsed.href, family } : undefined;
    } catch {
        return undefined;
    }
}

function localeOf(locale: unknown): string {
    const wanted = typeof locale === 'string' && /^[A-Za-z]{2,3}([-_][A-Za-z0-9]{2,8})*$/.test(locale) ? locale : navigator.language;
    try {
        return new Intl.Locale(wanted.replace(/_/g, '-')).toString();
    } catch {
        return 'en';
    }
}

export function readOptions(init: VendorInit): Options {
    return {
        initialRoute: localPath(init.initialRoute) ?? '/',
        prefix: (localPath(init.prefix) ?? '').replace(/[?].*$|\/+$/g, ''),
        locale: localeOf(init.locale),
        mode: init.mode === 'light' || init.mode === 'dark' ? init.mode : undefined,
        font: fontOf(init.fontUrl, init.fontFamily),
        hideSidebar: init.hideSidebar === true,
        hideFolders: init.hideFolders === true,
        hideLogo: init.hideLogoInBuilder === true,
        hideAppName: init.hideFlowNameInBuilder === true,
        navigation: init.disableNavigationInBuilder === true ? 'none' : init.disableNavigationInBuilder === 'keep_home_button_only' ? 'home' : 'all',
        tellsHome: init.emitHomeButtonClickedEvent === true,
        homeIcon: init.homeButtonIcon === 'logo' ? 'logo' : 'back',
    };
}

export function applyTheme({ mode, font, locale }: Options): void {
    const root = document.documentElement;
    root.lang = locale;
    if (mode) root.dataset.mode = mode;
    if (!font) return;
    const sheet = document.createElement('link');
    sheet.rel = 'stylesheet';
    sheet.href = font.url;
    sheet.referrerPolicy = 'no-referrer';
    document.head.append(sheet);
    root.style.setProperty('--font', `"${font.family}", system-ui, sans-serif`);
}
