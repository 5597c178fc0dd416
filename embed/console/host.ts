// The window that framed or opened this page. Until the exchange has succeeded nothing of its
// messages is looked at but the token; it is spoken to only at the origin that VENDOR_INIT came from.
import type { FromClient, FromVendor, VendorInit } from '../sdk/src/messages';

type On = { [T in keyof FromVendor]: (data: any, origin: string) => void };

export class Host {
    readonly isPopup = !!window.opener;
    private readonly window: Window | null = window.opener ?? (window.parent !== window ? window.parent : null);
    private origin?: string;

    constructor(private readonly on: On) {
        if (!this.window) return;
        addEventListener('message', this.listen);
        this.window.postMessage({ type: 'CLIENT_INIT', data: {} }, '*'); // it carries nothing
    }

    get isThere(): boolean {
        return !!this.window;
    }

    get name(): string {
        return this.origin ?? '';
    }

    say<T extends keyof FromClient>(type: T, data: FromClient[T]): void {
        if (this.origin) this.window?.postMessage({ type, data }, this.origin);
    }

    private readonly listen = ({ source, origin, data }: MessageEvent): void => {
        // "null": a sandboxed page, which can prove nothing of itself
        if (source !== this.window || origin === 'null' || !data || typeof data !== 'object') return;
        if (data.type === 'VENDOR_INIT') {
            if (this.origin) return; // one a page
            this.origin = origin;
            this.on.VENDOR_INIT(data.data as VendorInit, origin);
        } else if (origin === this.origin && (data.type === 'VENDOR_ROUTE_CHANGED' || data.type === 'VENDOR_TOKEN_UPDATED')) {
            this.on[data.type as 'VENDOR_ROUTE_CHANGED'](data.data ?? {}, origin);
        }
    };
}
