// /embed/connections?pieceName=…&connectionName=…: the dialog alone, over the host's page or in a
// window of its own.
import { ApiError } from '../api';
import type { Context } from '../context';
import { fill, h, icon } from '../dom';
import { connectForm } from '../parts/connect-form';
import { sentence } from '../parts/load';
import { whoAsks } from '../parts/who';
import type { Place } from '../router';
import { CONNECT_NAME, CONNECT_PIECE } from '../../sdk/src/messages';
import { say } from '../words';

export function connectView(context: Context, { query }: Place): void {
    const { main, words, host } = context;
    const pieceName = query.get(CONNECT_PIECE) ?? query.get('name') ?? '';
    const name = query.get(CONNECT_NAME) || undefined;
    document.documentElement.dataset.dialog = host.isPopup ? 'window' : 'over';
    const title = h('h1', { id: 'connect-title', tabindex: '-1' });
    const close = (connection?: { id: string; name: string }): void => {
        removeEventListener('keydown', onKey);
        host.say('CLIENT_NEW_CONNECTION_DIALOG_CLOSED', connection ? { connection } : {});
        if (host.isPopup) window.close();
    };
    const onKey = (event: KeyboardEvent): void => {
        if (event.key === 'Escape') close();
        else if (event.key === 'Tab') keepInside(box, event);
    };
    const box = h('div', { class: 'sheet', role: 'dialog', 'aria-modal': 'true', 'aria-labelledby': 'connect-title' },
        whoAsks(context),
        h('header', {}, title, h('button', { type: 'button', class: 'plain', 'aria-label': words.close, on: { click: () => close() } }, icon('close'))));
    const content = h('div');
    box.append(content);
    fill(main, box);

    const show = (): void => {
        host.say('CLIENT_SHOW_CONNECTION_IFRAME', {});
        addEventListener('keydown', onKey);
        // a frame that the host has yet to show takes no focus: it is drawn first when it is shown
        requestAnimationFrame(() => (content.querySelector<HTMLElement>('input, select') ?? title).focus());
    };
    const refuse = (text: string): void => {
        fill(content, h('p', { class: 'trouble', role: 'alert' }, text),
            h('footer', {}, h('button', { type: 'button', on: { click: () => close() } }, words.close)));
        show();
    };
    context.api.piece(pieceName, context.signal).then((piece) => {
        title.textContent = say(words.connectTo, piece.displayName);
        document.title = title.textContent;
        if (!context.may('connect')) return refuse(words.forbidden); // before a secret is typed for nothing
        fill(content, connectForm(context, piece, {
            pieceName, name, onCancel: () => close(), onDone: (made) => close({ id: made.id, name: made.externalId }),
        }));
        show();
    }, (error) => {
        if (error instanceof ApiError && error.status === 404) {
            host.say('CLIENT_CONNECTION_PIECE_NOT_FOUND', { error: JSON.stringify({ isValid: 'false', error: words.pieceNotFound }) });
            close();
            return;
        }
        title.textContent = words.connect;
        refuse(sentence(error, words));
    });
}

function keepInside(box: HTMLElement, event: KeyboardEvent): void {
    const all = [...box.querySelectorAll<HTMLElement>('a[href], button, input, select')].filter((one) => !one.hasAttribute('disabled'));
    const [first, last] = [all[0], all[all.length - 1]];
    const at = document.activeElement;
    if (event.shiftKey ? at === first || !box.contains(at) : at === last) {
        event.preventDefault();
        (event.shiftKey ? last : first)?.focus();
    }
}
