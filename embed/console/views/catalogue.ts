// What an app can be made from: within the page of apps while there are none, else in a dialog.
import type { Json } from '../api';
import type { Context } from '../context';
import { fill, h } from '../dom';
import { dialog } from '../parts/dialog';
import { busyButton, load } from '../parts/load';

const SEARCH_FROM = 7;

function card(context: Context, piece: Json, act: string, busy: string, choose: (piece: Json) => Promise<void>): HTMLElement {
    return h('li', { class: 'card' },
        h('span', { class: 'badge', 'aria-hidden': 'true' }, [...String(piece.displayName)][0]?.toUpperCase()),
        h('div', { class: 'words' }, h('h3', {}, piece.displayName), h('p', {}, piece.description)),
        busyButton(context, act, busy, { 'aria-label': `${act}: ${piece.displayName}` }, () => choose(piece)));
}

/** All that is offered; `fits` leaves out what is of no use here. */
export function catalogue(context: Context, act: string, busy: string, fits: (piece: Json) => boolean, choose: (piece: Json) => Promise<void>): HTMLElement {
    const { words, api, signal } = context;
    const place = h('div');
    void load(context, place, () => api.pieces(signal), ({ data }) => {
        const pieces = data.filter(fits);
        if (!pieces.length) return h('p', { class: 'quiet' }, words.noCatalogue);
        const list = h('ul', { class: 'cards' });
        const show = (text: string): void => {
            const found = pieces.filter((p) => `${p.displayName} ${p.slug} ${p.description ?? ''}`.toLowerCase().includes(text.toLowerCase()));
            fill(list, found.length ? found.map((piece) => card(context, piece, act, busy, choose)) : h('li', { class: 'quiet' }, words.noneFound));
        };
        show('');
        const search: HTMLInputElement = h('input', { type: 'search', 'aria-label': words.search, placeholder: words.search, on: { input: () => show(search.value) } });
        return pieces.length >= SEARCH_FROM ? [search, list] : [list];
    });
    return place;
}

export function makeApp(context: Context): HTMLElement {
    const { words, api } = context;
    return catalogue(context, words.make, words.making, (piece) => piece.hasApp !== false, async (piece) => {
        const made = await api.makeApp(piece.id);
        context.go(`/apps/${made.id}`);
    });
}

export function openCatalogue(context: Context): void {
    dialog(context, context.words.newAppTitle, () => [h('p', { class: 'quiet' }, context.words.newAppText), makeApp(context)]);
}
