// /connections: what apps work with.
import type { Json } from '../api';
import type { Context } from '../context';
import { h, icon } from '../dom';
import { ago } from '../format';
import { connectForm } from '../parts/connect-form';
import { confirm, dialog } from '../parts/dialog';
import { empty, pill, row } from '../parts/list';
import { load, sentence } from '../parts/load';
import { whoAsks } from '../parts/who';
import { heading } from '../shell';
import { say } from '../words';
import { catalogue } from './catalogue';

function openForm(context: Context, piece: Json, again: () => void, old?: Json): void {
    const { words } = context;
    dialog(context, say(words.connectTo, piece.displayName), (close) => [
        ...whoAsks(context),
        connectForm(context, piece, {
            pieceName: old?.pieceName ?? piece.slug, name: old?.externalId, onCancel: close,
            onDone: () => {
                close();
                again();
            },
        }),
    ]);
}

function chooseWhat(context: Context, again: () => void): void {
    const { words } = context;
    const chooser = dialog(context, words.newConnection, () => [catalogue(context, words.connect, words.connect, () => true, async (piece) => {
        chooser.close();
        openForm(context, piece, again);
    })]);
}

async function renew(context: Context, connection: Json, again: () => void): Promise<void> {
    try {
        openForm(context, await context.api.piece(connection.pieceName, context.signal), again, connection);
    } catch (error) {
        if (!context.signal.aborted) context.tell(sentence(error, context.words));
    }
}

function item(context: Context, connection: Json, again: () => void): HTMLElement {
    const { words, api, options } = context;
    const name = connection.displayName;
    return row(context, {
        title: name, facts: [connection.pieceName, connection.externalId !== name && connection.externalId, ago(connection.updatedAt ?? connection.createdAt, options.locale)],
        pill: pill(connection.status === 'ACTIVE' ? 'good' : 'bad', connection.status === 'ACTIVE' ? words.ok : words.failed),
        actions: context.may('connect') ? [
            h('button', { type: 'button', class: 'small', 'aria-label': `${words.reconnect}: ${name}`, on: { click: () => void renew(context, connection, again) } }, words.reconnect),
            h('button', { type: 'button', class: 'plain', 'aria-label': `${words.remove}: ${name}`, title: words.remove, on: { click: () =>
                confirm(context, say(words.removeConnection, name), words.remove, () => api.removeConnection(connection.id).then(again, (error) => context.tell(sentence(error, words)))) } }, icon('close')),
        ] : [],
    });
}

export function connectionsView(context: Context): void {
    const { words, api, signal, main } = context;
    const place = h('div');
    const ask = (): void => void load(context, place, () => api.connections(signal), ({ data }) => (data.length
        ? h('ul', { class: 'rows', 'aria-label': words.connections }, data.map((connection) => item(context, connection, ask)))
        : empty('connections', words.noConnections, words.noConnectionsText)));
    main.append(heading(context, words.connections,
        context.may('connect') && h('button', { type: 'button', class: 'primary', on: { click: () => chooseWhat(context, ask) } }, icon('plus'), words.newConnection)), place);
    ask();
}
