// Routes of ours in URLs of the host's.

/** '' or '/automation'. */
export function cleanPrefix(prefix: string | undefined): string {
    const inner = (prefix ?? '').replace(/^\/+|\/+$/g, '');
    return inner && `/${inner}`;
}

export const withSlash = (route: string): string => `/${String(route).replace(/^\/+/, '')}`;

export function routeOf(vendorUrl: string, prefix: string): string {
    const { pathname, search } = new URL(vendorUrl, location.href);
    const isOurs = pathname === prefix || pathname.startsWith(`${prefix}/`);
    return isOurs ? withSlash(pathname.slice(prefix.length)) + search : '/';
}
