// A place that waits for the server: what it shows meanwhile, and when it fails.
import { ApiError } from '../api';
import type { Context } from '../context';
import { fill, h } from '../dom';
import { say, Words } from '../words';

/** A sentence for the person, whatever was thrown. */
export function sentence(error: unknown, words: Words): string {
    if (!(error instanceof ApiError)) return say(words.wrong, String((error as Error)?.message ?? error));
    if (error.code === 'unreachable') return words.unreachable;
    if (error.status === 403) return words.forbidden;
    if (error.status === 404) return words.notFound;
    return error.message;
}

/** Fills `place` with what `show` makes of the answer; nothing once the view was left. */
export async function load<T>(context: Context, place: HTMLElement, ask: () => Promise<T>, show: (answer: T) => Node | Node[]): Promise<void> {
    const { signal, words } = context;
    if (!place.childNodes.length) fill(place, h('div', { class: 'skeleton', role: 'status', 'aria-label': words.loading }, h('i'), h('i'), h('i')));
    try {
        const answer = await ask();
        if (!signal.aborted) fill(place, show(answer));
    } catch (error) {
        if (signal.aborted || (error as Error).name === 'AbortError') return;
        fill(place, h('div', { class: 'trouble', role: 'alert' },
            h('p', {}, sentence(error, words)),
            h('button', { type: 'button', on: { click: () => { fill(place); void load(context, place, ask, show); } } }, words.retry)));
    }
}

/** A button that cannot be pressed twice: it says what it does until it is done. */
export function busyButton(context: Context, label: string, busy: string, attributes: Record<string, string>, act: () => Promise<void>, onError?: (text: string) => void): HTMLButtonElement {
    const button = h('button', { type: 'button', ...attributes, on: { click: () => void run() } }, label);
    const run = async (): Promise<void> => {
        if (button.getAttribute('aria-disabled')) return;
        button.setAttribute('aria-disabled', 'true');
        button.textContent = busy;
        try {
            await act();
        } catch (error) {
            (onError ?? context.tell)(sentence(error, context.words));
        } finally {
            button.removeAttribute('aria-disabled');
            button.textContent = label;
        }
    };
    return button;
}
