// Elements from code alone: text is text, and there is no markup from strings (the page's policy has
// trusted types forbid it, too).

type Child = Node | string | number | null | undefined | false | Child[];
type Listener = (event: any) => void;
export interface Attributes {
    class?: string;
    on?: Record<string, Listener>;
    [name: string]: string | number | boolean | null | undefined | Record<string, Listener>;
}

export function h<T extends keyof HTMLElementTagNameMap>(tag: T, attributes: Attributes = {}, ...children: Child[]): HTMLElementTagNameMap[T] {
    const made = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) {
        if (name === 'on') Object.entries(value as Record<string, Listener>).forEach(([event, listener]) => made.addEventListener(event, listener));
        else if (value !== undefined && value !== null && value !== false) made.setAttribute(name, value === true ? '' : String(value));
    }
    add(made, children);
    return made;
}

export function add(to: Element, children: Child[]): void {
    for (const child of children) {
        if (Array.isArray(child)) add(to, child);
        else if (child instanceof Node) to.append(child);
        else if (child !== null && child !== undefined && child !== false) to.append(String(child));
    }
}

export function fill(to: Element, ...children: Child[]): void {
    to.replaceChildren();
    add(to, children);
}

// Outlines on a grid of 24; drawn in the colour of the text beside them.
const ICONS = {
    apps: 'M4 4h7v7H4zM13 4h7v7h-7zM4 13h7v7H4zM13 13h7v7h-7z',
    runs: 'M3 12h4l3-8 4 16 3-8h4',
    files: 'M14 3H6v18h12V7zM14 3v4h4',
    domains: 'M12 3a9 9 0 1 0 0 18 9 9 0 1 0 0-18M3 12h18M12 3c3 3 3 15 0 18M12 3c-3 3-3 15 0 18',
    connections: 'M9 7V3M15 7V3M6 7h12v4a6 6 0 0 1-12 0zM12 17v4',
    settings: 'M4 7h10M18 7h2M4 17h2M10 17h10M16 5v4M8 15v4',
    open: 'M14 4h6v6M20 4l-9 9M18 14v6H4V6h6',
    back: 'M15 5l-7 7 7 7',
    plus: 'M12 5v14M5 12h14',
    copy: 'M9 9h11v11H9zM5 15H4V4h11v1',
    close: 'M6 6l12 12M18 6L6 18',
    more: 'M9 6l6 6-6 6',
    logo: 'M4 20V10M9.3 20V10M14.7 20V10M20 20V10M2 20h20M3 10h18L12 4z',
} as const;
export type Icon = keyof typeof ICONS;

export function icon(name: Icon): SVGElement {
    const svg = document.createElementNS('http://www.w3.org/2000/svg', 'svg');
    svg.setAttribute('viewBox', '0 0 24 24');
    svg.setAttribute('class', 'icon');
    svg.setAttribute('aria-hidden', 'true');
    const path = document.createElementNS('http://www.w3.org/2000/svg', 'path');
    path.setAttribute('d', ICONS[name]);
    svg.append(path);
    return svg;
}

/** A URL of somebody's to lead to: http(s), or nothing. */
export function webUrl(url: unknown): string | undefined {
    try {
        const parsed = new URL(String(url));
        return /^https?:$/.test(parsed.protocol) ? parsed.href : undefined;
    } catch {
        return undefined;
    }
}
