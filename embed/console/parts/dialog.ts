// Dialogs on the browser's own element: focus stays inside, Escape closes, and goes back to where it was.
import { h, icon } from '../dom';
import type { Words } from '../words';

export interface Dialog {
    element: HTMLDialogElement;
    close: () => void;
}

let count = 0;

export function dialog(words: Words, title: string, content: (close: () => void) => Node[], onClose?: () => void): Dialog {
    const id = `dialog-${++count}`;
    const close = (): void => element.close();
    const element = h('dialog', { 'aria-labelledby': id, on: { close: () => { element.remove(); onClose?.(); } } },
        h('header', {}, h('h2', { id }, title),
            h('button', { type: 'button', class: 'plain', 'aria-label': words.close, on: { click: close } }, icon('close'))));
    element.append(...content(close));
    element.addEventListener('pointerdown', (event) => {
        if (event.target === element) close(); // beside it
    });
    document.body.append(element);
    element.showModal();
    return { element, close };
}

/** Asks before something goes. */
export function confirm(words: Words, question: string, act: string, yes: () => Promise<void>): void {
    dialog(words, act, (close) => [
        h('p', {}, question),
        h('footer', {},
            h('button', { type: 'button', on: { click: close } }, words.cancel),
            h('button', { type: 'button', class: 'danger', on: { click: () => { close(); void yes(); } } }, act)),
    ]);
}
