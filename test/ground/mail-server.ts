/** A real SMTP server in the test's process, that keeps what it is given, and can be away or refuse. */
import { text } from 'node:stream/consumers';
import PostalMime, { type Email } from 'postal-mime';
import { SMTPServer } from 'smtp-server';
import { pickPort } from '../../scripts/stack/ports.ts';
import { eventually } from './rest.ts';

export interface ReceivedMail extends Email {
  /** Of the envelope: whom the server was told to deliver it to. */
  recipients: string[];
  isEncrypted: boolean;
}

export interface MailServer {
  readonly port: number;
  readonly received: ReceivedMail[];
  /** Whoever it is to, or comes from, is answered with this code. */
  refuse(address: string, code: number): void;
  /** The first to that address. */
  to(address: string, seconds?: number): Promise<ReceivedMail>;
  goAway(): Promise<void>;
  /** On the same port. */
  comeBack(): Promise<void>;
}

export interface MailServerOptions {
  /** Offers STARTTLS, and insists on a log-in after it. */
  tls?: { cert: string; key: string; user: string; password: string };
}

export async function startMailServer({ tls }: MailServerOptions = {}): Promise<MailServer> {
  const received: ReceivedMail[] = [];
  const refused = new Map<string, number>();
  const judge = (address: string): Error | null => {
    const code = refused.get(address);
    return code === undefined ? null : Object.assign(new Error(`no ${address} here`), { responseCode: code });
  };
  const make = () =>
    new SMTPServer({
      ...(tls ? { cert: tls.cert, key: tls.key } : { hideSTARTTLS: true, authOptional: true }),
      closeTimeout: 100,
      onAuth: ({ username, password }, _session, done) =>
        username === tls?.user && password === tls?.password
          ? done(null, { user: username })
          : done(new Error('no such user')),
      onMailFrom: ({ address }, _session, done) => done(judge(address)),
      onRcptTo: ({ address }, _session, done) => done(judge(address)),
      onData: (stream, { envelope, secure }, done) => {
        const keep = async () => {
          const recipients = envelope.rcptTo.map(({ address }) => address);
          received.push({ ...(await PostalMime.parse(await text(stream))), recipients, isEncrypted: secure });
        };
        keep().then(() => done(null), done);
      },
    });
  // Not of the range of outgoing connections: one of these could have it while the server is away.
  const port = await pickPort(undefined, new Set());
  let server = await listening(make(), port);
  return {
    port,
    received,
    refuse: (address, code) => void refused.set(address, code),
    to: (address, seconds = 60) =>
      eventually(
        async () => received.find(({ recipients }) => recipients.includes(address)),
        () => `no mail came to ${address}; there was ${JSON.stringify(received.map(({ recipients }) => recipients))}`,
        seconds,
      ),
    goAway: () => new Promise((resolve) => server.close(() => resolve())),
    comeBack: async () => {
      server = await listening(make(), port);
    },
  };
}

async function listening(server: SMTPServer, port: number): Promise<SMTPServer> {
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, '127.0.0.1', resolve);
  });
  // A client that hangs up in the middle is not this server's fault.
  server.on('error', () => undefined);
  return server;
}
