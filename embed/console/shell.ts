// What stands around the views: the sections, the place for a view, and the sentences of the page.
import type { Context } from './context';
import { h, icon, Icon, fill } from './dom';
import { link } from './parts/link';
import type { Words } from './words';

const SECTIONS: [Icon & keyof Words, string][] = [
    ['apps', '/apps'], ['runs', '/runs'], ['files', '/files'], ['domains', '/domains'], ['connections', '/connections'], ['settings', '/settings'],
];
const TOAST_MS = 6000;

export interface Shell {
    main: HTMLElement;
    mark: (path: string) => void;
    tell: (text: string) => void;
}

/** A view's first line; what stands beside it is for the hand. It gets the focus when a view is shown. */
export function heading(context: Context, title: string, ...beside: (Node | false)[]): HTMLElement {
    context.title(title);
    return h('header', { class: 'heading' }, h('h1', { tabindex: '-1' }, title), beside.some(Boolean) && h('div', { class: 'beside' }, beside));
}

export function makeShell(context: Pick<Context, 'host' | 'options' | 'go' | 'words' | 'session'>): Shell {
    const { options, words, session } = context;
    const links = SECTIONS.map(([name, route]) => link(context, route, { 'data-route': route }, icon(name), h('span', {}, words[name])));
    const who = session.identity.projectName ?? `${session.identity.firstName} ${session.identity.lastName}`.trim();
    const bar = h('nav', { class: 'bar', 'aria-label': words.navigation },
        !options.hideLogo && h('div', { class: 'brand' }, icon('logo'), h('span', {}, session.identity.platformName ?? who)),
        h('div', { class: 'sections' }, links));
    const main = h('main', { id: 'main' });
    const toast = h('div', { class: 'toast', role: 'status', 'aria-live': 'polite' });
    let timer: number | undefined;
    fill(document.body, h('div', { class: options.hideSidebar ? 'shell bare' : 'shell' }, !options.hideSidebar && bar, main), toast);
    return {
        main,
        mark(path) {
            for (const one of links) {
                const isHere = path === one.dataset.route || path.startsWith(`${one.dataset.route}/`);
                if (isHere) one.setAttribute('aria-current', 'page');
                else one.removeAttribute('aria-current');
                if (isHere) one.scrollIntoView({ block: 'nearest', inline: 'center' });
            }
        },
        tell(text) {
            toast.textContent = text;
            toast.classList.add('shown');
            clearTimeout(timer);
            timer = setTimeout(() => toast.classList.remove('shown'), TOAST_MS) as unknown as number;
        },
    };
}

/** The whole page is this sentence. */
export function notice(title: string, text: string, detail?: string): void {
    fill(document.body, h('div', { class: 'notice', role: 'alert' }, icon('logo'), h('h1', {}, title), h('p', {}, text), detail && h('p', { class: 'detail' }, detail)));
}

/** Over what is there, until it is taken away. */
export function curtain(title: string, text: string): () => void {
    const element = h('dialog', { class: 'curtain', 'aria-labelledby': 'curtain-title', on: { cancel: (event: Event) => event.preventDefault() } },
        h('h2', { id: 'curtain-title', tabindex: '-1' }, title), h('p', {}, text));
    document.body.append(element);
    element.showModal();
    return () => {
        element.close();
        element.remove();
    };
}
