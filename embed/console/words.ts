// What the page says, in the languages it speaks. Another is one more object here.
const en = {
    apps: 'Apps', runs: 'Runs', files: 'Files', domains: 'Domains', connections: 'Connections', settings: 'Settings', navigation: 'Sections',
    newApp: 'New app', newAppTitle: 'Make an app', newAppText: 'Choose what it starts from. It gets a link and data of its own.', make: 'Make app',
    making: 'Making …', search: 'Search', openApp: 'Open app', copyLink: 'Copy link', copied: 'Copied.', backToApps: 'All apps', home: 'Home',
    noApps: 'No apps yet', noAppsText: 'Make one from the catalogue; it is online at once.', noCatalogue: 'The catalogue is empty. Your administrator decides what is in it.',
    noneFound: 'Nothing matches.', online: 'Online', offline: 'Off',
    noRuns: 'Nothing has run yet', noRunsText: 'What visitors do in an app appears here.', noFiles: 'No files yet', noFilesText: 'What visitors hand in appears here.',
    noDomains: 'No domain yet', noDomainsText: 'An app is reached by its link; a domain of yours can lead to it as well.',
    noConnections: 'No connections yet', noConnectionsText: 'A connection holds the keys and settings that an app works with.',
    newConnection: 'New connection', connect: 'Connect', connectTo: 'Connect {0}', reconnect: 'Renew', remove: 'Remove', cancel: 'Cancel', close: 'Close', save: 'Save',
    saving: 'Saving …', connectionName: 'Name', connectionNameText: 'How this connection is called in your lists.', required: 'required', optional: 'optional',
    secretText: 'Kept encrypted; it is never shown again.', askedBy: '{0} asks for this', askedByOrigin: 'Check that you know this address before you enter a key:',
    nothingToEnter: 'Nothing has to be entered: connect it and it is ready.', tagsText: 'Several with commas between them.',
    someWrong: 'Some of this cannot be taken.', removeConnection: 'Remove the connection {0}? Apps that use it stop working until there is another.', removeDomain: 'Remove {0}? It stops leading to the app at once.',
    pieceNotFound: 'This app is not in your catalogue.', addDomain: 'Add domain', hostname: 'Domain', app: 'App', allOf: 'Show all', allApps: 'All apps', add: 'Add', checkNow: 'Check now', checking: 'Checking …',
    dnsText: 'Set these records where the domain is managed:', type: 'Type', name: 'Name', value: 'Value', verified: 'Verified', pending: 'Waiting for its record', failing: 'Record missing',
    suspended: 'Switched off', certificate: 'Certificate', when: 'When', action: 'Action', outcome: 'Outcome', time: 'Took', size: 'Size', kind: 'Kind', ok: 'OK', failed: 'Failed', more: 'Show more',
    runOf: 'Run of {0}', started: 'Started', took: 'Took', waited: 'Waited', source: 'By', log: 'Log', noLog: 'It wrote nothing.', error: 'Error', input: 'Input', output: 'Output', visitor: 'visitor', owner: 'owner', tool: 'tool',
    project: 'Project', person: 'Signed in as', role: 'Role', language: 'Language', sessionEnds: 'This session ends', plugin: 'Made from', link: 'Link', download: 'Open file',
    loading: 'Loading …', retry: 'Try again', wrong: 'That did not work: {0}', unreachable: 'The server cannot be reached. Check the connection and try again.', forbidden: 'Your role does not allow that.',
    notFound: 'There is nothing here, or it is not yours.', signingIn: 'Signing in …', refusedTitle: 'You could not be signed in', refusedText: 'Reload the page. If it stays like this, tell the people who run it:',
    expiredTitle: 'Your session has ended', expiredText: 'Reload the page to go on. Nothing is lost.', aloneTitle: 'This page belongs inside another product', aloneText: 'A product that embeds it shows it; by itself it has nothing to show.',
};
export type Words = typeof en;

const de: Words = {
    apps: 'Apps', runs: 'Abläufe', files: 'Dateien', domains: 'Domains', connections: 'Verbindungen', settings: 'Einstellungen', navigation: 'Bereiche',
    newApp: 'Neue App', newAppTitle: 'App anlegen', newAppText: 'Wähle, woraus sie entsteht. Sie bekommt einen eigenen Link und eigene Daten.', make: 'App anlegen',
    making: 'Wird angelegt …', search: 'Suchen', openApp: 'App öffnen', copyLink: 'Link kopieren', copied: 'Kopiert.', backToApps: 'Alle Apps', home: 'Start',
    noApps: 'Noch keine Apps', noAppsText: 'Lege eine aus dem Katalog an; sie ist sofort online.', noCatalogue: 'Der Katalog ist leer. Was darin steht, legt deine Verwaltung fest.',
    noneFound: 'Nichts passt dazu.', online: 'Online', offline: 'Aus',
    noRuns: 'Noch ist nichts gelaufen', noRunsText: 'Was Besucher in einer App tun, erscheint hier.', noFiles: 'Noch keine Dateien', noFilesText: 'Was Besucher abgeben, erscheint hier.',
    noDomains: 'Noch keine Domain', noDomainsText: 'Eine App ist über ihren Link erreichbar; auch eine eigene Domain kann zu ihr führen.',
    noConnections: 'Noch keine Verbindungen', noConnectionsText: 'Eine Verbindung enthält die Schlüssel und Einstellungen, mit denen eine App arbeitet.',
    newConnection: 'Neue Verbindung', connect: 'Verbinden', connectTo: '{0} verbinden', reconnect: 'Erneuern', remove: 'Entfernen', cancel: 'Abbrechen', close: 'Schließen', save: 'Speichern',
    saving: 'Wird gespeichert …', connectionName: 'Name', connectionNameText: 'So heißt die Verbindung in deinen Listen.', required: 'nötig', optional: 'freiwillig',
    secretText: 'Wird verschlüsselt aufbewahrt und nie wieder angezeigt.', askedBy: '{0} fragt danach', askedByOrigin: 'Gib nur dann einen Schlüssel ein, wenn du diese Adresse kennst:',
    nothingToEnter: 'Es ist nichts einzugeben: verbinden, und fertig.', tagsText: 'Mehrere durch Kommas getrennt.',
    someWrong: 'Einiges davon geht so nicht.', removeConnection: 'Verbindung {0} entfernen? Apps, die sie benutzen, stehen still, bis es eine andere gibt.', removeDomain: '{0} entfernen? Sie führt dann sofort nicht mehr zur App.',
    pieceNotFound: 'Diese App ist nicht in deinem Katalog.', addDomain: 'Domain hinzufügen', hostname: 'Domain', app: 'App', allOf: 'Alle zeigen', allApps: 'Alle Apps', add: 'Hinzufügen', checkNow: 'Jetzt prüfen', checking: 'Wird geprüft …',
    dnsText: 'Trage dort, wo die Domain verwaltet wird, diese Einträge ein:', type: 'Typ', name: 'Name', value: 'Wert', verified: 'Bestätigt', pending: 'Wartet auf den Eintrag', failing: 'Eintrag fehlt',
    suspended: 'Abgeschaltet', certificate: 'Zertifikat', when: 'Wann', action: 'Aktion', outcome: 'Ergebnis', time: 'Dauer', size: 'Größe', kind: 'Art', ok: 'OK', failed: 'Fehler', more: 'Mehr zeigen',
    runOf: 'Ablauf von {0}', started: 'Begonnen', took: 'Dauer', waited: 'Wartezeit', source: 'Durch', log: 'Protokoll', noLog: 'Es wurde nichts geschrieben.', error: 'Fehler', input: 'Eingabe', output: 'Ausgabe', visitor: 'Besucher', owner: 'Inhaber', tool: 'Werkzeug',
    project: 'Projekt', person: 'Angemeldet als', role: 'Rolle', language: 'Sprache', sessionEnds: 'Diese Sitzung endet', plugin: 'Entstanden aus', link: 'Link', download: 'Datei öffnen',
    loading: 'Lädt …', retry: 'Noch einmal', wrong: 'Das ging nicht: {0}', unreachable: 'Der Server ist nicht erreichbar. Prüfe die Verbindung und versuche es noch einmal.', forbidden: 'Deine Rolle erlaubt das nicht.',
    notFound: 'Hier ist nichts, oder es gehört dir nicht.', signingIn: 'Anmeldung …', refusedTitle: 'Die Anmeldung ist gescheitert', refusedText: 'Lade die Seite neu. Bleibt es dabei, sage es denen, die sie betreiben:',
    expiredTitle: 'Deine Sitzung ist zu Ende', expiredText: 'Lade die Seite neu, um weiterzumachen. Es geht nichts verloren.', aloneTitle: 'Diese Seite gehört in ein anderes Produkt', aloneText: 'Ein Produkt, das sie einbettet, zeigt sie; allein zeigt sie nichts.',
};

const fr: Words = {
    apps: 'Applications', runs: 'Exécutions', files: 'Fichiers', domains: 'Domaines', connections: 'Connexions', settings: 'Réglages', navigation: 'Rubriques',
    newApp: 'Nouvelle application', newAppTitle: 'Créer une application', newAppText: 'Choisissez son point de départ. Elle reçoit son propre lien et ses propres données.', make: 'Créer',
    making: 'Création …', search: 'Rechercher', openApp: 'Ouvrir', copyLink: 'Copier le lien', copied: 'Copié.', backToApps: 'Toutes les applications', home: 'Accueil',
    noApps: 'Aucune application', noAppsText: 'Créez-en une depuis le catalogue ; elle est en ligne aussitôt.', noCatalogue: 'Le catalogue est vide. Votre administrateur en décide le contenu.',
    noneFound: 'Aucun résultat.', online: 'En ligne', offline: 'Arrêtée',
    noRuns: 'Rien n’a encore été exécuté', noRunsText: 'Ce que font les visiteurs apparaît ici.', noFiles: 'Aucun fichier', noFilesText: 'Ce que déposent les visiteurs apparaît ici.',
    noDomains: 'Aucun domaine', noDomainsText: 'Une application s’ouvre par son lien ; un domaine à vous peut aussi y mener.',
    noConnections: 'Aucune connexion', noConnectionsText: 'Une connexion contient les clés et réglages dont une application a besoin.',
    newConnection: 'Nouvelle connexion', connect: 'Connecter', connectTo: 'Connecter {0}', reconnect: 'Renouveler', remove: 'Supprimer', cancel: 'Annuler', close: 'Fermer', save: 'Enregistrer',
    saving: 'Enregistrement …', connectionName: 'Nom', connectionNameText: 'Le nom de la connexion dans vos listes.', required: 'obligatoire', optional: 'facultatif',
    secretText: 'Conservé chiffré ; il n’est plus jamais affiché.', askedBy: '{0} le demande', askedByOrigin: 'Vérifiez que vous connaissez cette adresse avant de saisir une clé :',
    nothingToEnter: 'Rien à saisir : connectez, et c’est prêt.', tagsText: 'Séparez-les par des virgules.',
    someWrong: 'Une partie ne peut pas être acceptée.', removeConnection: 'Supprimer la connexion {0} ? Les applications qui l’utilisent s’arrêtent jusqu’à la suivante.', removeDomain: 'Supprimer {0} ? Il ne mènera plus à l’application.',
    pieceNotFound: 'Cette application n’est pas dans votre catalogue.', addDomain: 'Ajouter un domaine', hostname: 'Domaine', app: 'Application', allOf: 'Tout afficher', allApps: 'Toutes les applications', add: 'Ajouter', checkNow: 'Vérifier', checking: 'Vérification …',
    dnsText: 'Créez ces enregistrements là où le domaine est géré :', type: 'Type', name: 'Nom', value: 'Valeur', verified: 'Vérifié', pending: 'Attend son enregistrement', failing: 'Enregistrement absent',
    suspended: 'Désactivé', certificate: 'Certificat', when: 'Quand', action: 'Action', outcome: 'Résultat', time: 'Durée', size: 'Taille', kind: 'Type', ok: 'OK', failed: 'Échec', more: 'Afficher plus',
    runOf: 'Exécution de {0}', started: 'Début', took: 'Durée', waited: 'Attente', source: 'Par', log: 'Journal', noLog: 'Rien n’a été écrit.', error: 'Erreur', input: 'Entrée', output: 'Sortie', visitor: 'visiteur', owner: 'propriétaire', tool: 'outil',
    project: 'Projet', person: 'Connecté en tant que', role: 'Rôle', language: 'Langue', sessionEnds: 'Fin de la session', plugin: 'D’après', link: 'Lien', download: 'Ouvrir le fichier',
    loading: 'Chargement …', retry: 'Réessayer', wrong: 'Cela n’a pas fonctionné : {0}', unreachable: 'Le serveur est injoignable. Vérifiez la connexion et réessayez.', forbidden: 'Votre rôle ne le permet pas.',
    notFound: 'Il n’y a rien ici, ou ce n’est pas à vous.', signingIn: 'Connexion …', refusedTitle: 'Connexion impossible', refusedText: 'Rechargez la page. Si cela persiste, dites-le à ceux qui la gèrent :',
    expiredTitle: 'Votre session est terminée', expiredText: 'Rechargez la page pour continuer. Rien n’est perdu.', aloneTitle: 'Cette page a sa place dans un autre produit', aloneText: 'Un produit qui l’intègre l’affiche ; seule, elle ne montre rien.',
};

const es: Words = {
    apps: 'Aplicaciones', runs: 'Ejecuciones', files: 'Archivos', domains: 'Dominios', connections: 'Conexiones', settings: 'Ajustes', navigation: 'Secciones',
    newApp: 'Nueva aplicación', newAppTitle: 'Crear una aplicación', newAppText: 'Elige de qué parte. Recibe su propio enlace y sus propios datos.', make: 'Crear',
    making: 'Creando …', search: 'Buscar', openApp: 'Abrir', copyLink: 'Copiar enlace', copied: 'Copiado.', backToApps: 'Todas las aplicaciones', home: 'Inicio',
    noApps: 'Aún no hay aplicaciones', noAppsText: 'Crea una desde el catálogo; estará en línea al momento.', noCatalogue: 'El catálogo está vacío. Tu administrador decide qué contiene.',
    noneFound: 'Nada coincide.', online: 'En línea', offline: 'Apagada',
    noRuns: 'Aún no se ha ejecutado nada', noRunsText: 'Lo que hacen los visitantes aparece aquí.', noFiles: 'Aún no hay archivos', noFilesText: 'Lo que entregan los visitantes aparece aquí.',
    noDomains: 'Aún no hay dominios', noDomainsText: 'A una aplicación se llega por su enlace; también puede llevar a ella un dominio tuyo.',
    noConnections: 'Aún no hay conexiones', noConnectionsText: 'Una conexión guarda las claves y ajustes con los que trabaja una aplicación.',
    newConnection: 'Nueva conexión', connect: 'Conectar', connectTo: 'Conectar {0}', reconnect: 'Renovar', remove: 'Quitar', cancel: 'Cancelar', close: 'Cerrar', save: 'Guardar',
    saving: 'Guardando …', connectionName: 'Nombre', connectionNameText: 'Cómo se llama la conexión en tus listas.', required: 'obligatorio', optional: 'opcional',
    secretText: 'Se guarda cifrado; no vuelve a mostrarse.', askedBy: '{0} lo pide', askedByOrigin: 'Comprueba que conoces esta dirección antes de escribir una clave:',
    nothingToEnter: 'No hay nada que escribir: conecta y listo.', tagsText: 'Varios, separados por comas.',
    someWrong: 'Algo de esto no puede aceptarse.', removeConnection: '¿Quitar la conexión {0}? Las aplicaciones que la usan se detienen hasta que haya otra.', removeDomain: '¿Quitar {0}? Dejará de llevar a la aplicación.',
    pieceNotFound: 'Esta aplicación no está en tu catálogo.', addDomain: 'Añadir dominio', hostname: 'Dominio', app: 'Aplicación', allOf: 'Ver todo', allApps: 'Todas las aplicaciones', add: 'Añadir', checkNow: 'Comprobar', checking: 'Comprobando …',
    dnsText: 'Crea estos registros donde se gestiona el dominio:', type: 'Tipo', name: 'Nombre', value: 'Valor', verified: 'Verificado', pending: 'Espera su registro', failing: 'Falta el registro',
    suspended: 'Desactivado', certificate: 'Certificado', when: 'Cuándo', action: 'Acción', outcome: 'Resultado', time: 'Duración', size: 'Tamaño', kind: 'Tipo', ok: 'OK', failed: 'Error', more: 'Mostrar más',
    runOf: 'Ejecución de {0}', started: 'Inicio', took: 'Duración', waited: 'Espera', source: 'Por', log: 'Registro', noLog: 'No escribió nada.', error: 'Error', input: 'Entrada', output: 'Salida', visitor: 'visitante', owner: 'propietario', tool: 'herramienta',
    project: 'Proyecto', person: 'Sesión de', role: 'Rol', language: 'Idioma', sessionEnds: 'Esta sesión termina', plugin: 'Creada de', link: 'Enlace', download: 'Abrir archivo',
    loading: 'Cargando …', retry: 'Reintentar', wrong: 'No ha funcionado: {0}', unreachable: 'No se llega al servidor. Comprueba la conexión e inténtalo de nuevo.', forbidden: 'Tu rol no lo permite.',
    notFound: 'Aquí no hay nada, o no es tuyo.', signingIn: 'Iniciando sesión …', refusedTitle: 'No se pudo iniciar sesión', refusedText: 'Recarga la página. Si sigue igual, avisa a quienes la llevan:',
    expiredTitle: 'Tu sesión ha terminado', expiredText: 'Recarga la página para seguir. No se pierde nada.', aloneTitle: 'Esta página va dentro de otro producto', aloneText: 'La muestra un producto que la integra; sola no enseña nada.',
};

const tables: Record<string, Words> = { en, de, fr, es };

export function wordsFor(locale: string): Words {
    return tables[locale.split('-')[0].toLowerCase()] ?? en;
}

/** "from {0}" with its values. */
export const say = (text: string, ...values: (string | number)[]): string => text.replace(/\{(\d)\}/g, (_, n) => String(values[Number(n)]));
