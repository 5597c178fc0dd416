// Lists: one form for all of them, a line of words and a line of facts, which fits a phone as well.
import type { Page } from '../api';
import type { Context } from '../context';
import { add, h, icon, Icon } from '../dom';
import { load } from './load';
import { link } from './link';

export interface Row {
    title: string;
    facts: (string | Node | undefined | false)[];
    pill?: HTMLElement;
    route?: string;
    actions?: (Node | false)[];
    below?: Node;
}

export function pill(kind: 'good' | 'bad' | 'calm' | 'wait', text: string): HTMLElement {
    return h('span', { class: `pill ${kind}` }, text);
}

export function empty(symbol: Icon, title: string, text: string, ...more: (Node | false)[]): HTMLElement {
    return h('div', { class: 'empty' }, icon(symbol), h('h3', {}, title), h('p', {}, text), more);
}

export function row(context: Context, { title, facts, pill: mark, route, actions, below }: Row): HTMLElement {
    const known = facts.filter(Boolean) as (string | Node)[];
    return h('li', { class: 'row' },
        h('div', { class: 'words' },
            route ? link(context, route, { class: 'name' }, title) : h('span', { class: 'name' }, title),
            h('span', { class: 'facts' }, known.map((fact) => h('span', {}, fact)))),
        h('div', { class: 'end' }, mark, actions, route && icon('more')),
        below && h('div', { class: 'below' }, below));
}

/** All that is there, a page at a time. */
export function pagedList(context: Context, name: string, ask: (cursor?: string) => Promise<Page>, toRow: (item: any) => Row, none: () => HTMLElement): HTMLElement {
    const place = h('div');
    void load(context, place, () => ask(), (page) => {
        if (!page.data.length) return none();
        const list = h('ul', { class: 'rows', 'aria-label': name }, page.data.map((item) => row(context, toRow(item))));
        const more = h('div', { class: 'more' });
        const offer = (cursor: string | null): void => {
            more.replaceChildren();
            if (!cursor) return;
            more.append(h('button', { type: 'button', on: { click: () => void load(context, more, () => ask(cursor), (next) => {
                add(list, next.data.map((item) => row(context, toRow(item))));
                queueMicrotask(() => offer(next.next));
                return [];
            }) } }, context.words.more));
        };
        offer(page.next);
        return [list, more];
    });
    return place;
}
