// Answers one JSON line for each JSON line: npm jose behind the calls of npm_jose.py.
import { createInterface } from 'node:readline'
import * as jose from 'jose'

const bytes = (text) => new Uint8Array(Buffer.from(text, 'base64url'))
const text = (data) => Buffer.from(data).toString('base64url')
const keys = new Map()

async function key(jwk) {
  const name = JSON.stringify(jwk)
  if (!keys.has(name)) keys.set(name, await jose.importJWK(jwk))
  return keys.get(name)
}

async function signFlattened(payload, one) {
  const signer = new jose.FlattenedSign(payload).setProtectedHeader(one.protected)
  if (Object.keys(one.unprotected).length) signer.setUnprotectedHeader(one.unprotected)
  return signer.sign(await key(one.key))
}

async function signCompact(payload, one, form) {
  if (!form.detached) return new jose.CompactSign(payload).setProtectedHeader(one.protected).sign(await key(one.key))
  const jws = await signFlattened(payload, one) // detaching is the caller's part: RFC 7515 Appendix F
  return `${jws.protected}..${jws.signature}`
}

async function signGeneral(payload, signing) {
  const signer = new jose.GeneralSign(payload)
  for (const one of signing) {
    const signature = signer.addSignature(await key(one.key)).setProtectedHeader(one.protected)
    if (Object.keys(one.unprotected).length) signature.setUnprotectedHeader(one.unprotected)
  }
  return signer.sign()
}

async function sign({ form, payload, signing }) {
  const content = bytes(payload)
  if (form.serialization === 'compact') return signCompact(content, signing[0], form)
  const general = form.serialization === 'general'
  const jws = general ? await signGeneral(content, signing) : await signFlattened(content, signing[0])
  if (form.detached) delete jws.payload
  else if (!form.b64) jws.payload = Buffer.from(content).toString('utf8') // it leaves this to the caller
  return JSON.stringify(jws)
}

function attached(form, jws, payload) {
  return form.detached ? { ...jws, payload: form.b64 ? payload : bytes(payload) } : jws
}

async function verifyCompact(form, token, payload, known) {
  if (!form.detached) return jose.compactVerify(token, known)
  const [header, , signature] = token.split('.')
  return jose.flattenedVerify(attached(form, { protected: header, signature }, payload), known)
}

async function verifyJSON(form, token, payload, known) {
  const jws = attached(form, JSON.parse(token), payload)
  return form.serialization === 'general' ? jose.generalVerify(jws, known) : jose.flattenedVerify(jws, known)
}

async function verify({ form, token, payload, known }) {
  const seen = []
  for (const jwk of known) { // it is content with any signature, so each key is asked for its own
    const call = form.serialization === 'compact' ? verifyCompact : verifyJSON
    seen.push(await call(form, token, payload, await key(jwk)))
  }
  const headers = seen.map((one) => ({ ...one.protectedHeader, ...one.unprotectedHeader }))
  return { payload: text(seen[0].payload), headers }
}

async function algorithms({ names }) {
  const known = []
  for (const name of names) {
    const made = name.startsWith('HS') ? jose.generateSecret(name) : jose.generateKeyPair(name)
    await made.then(() => known.push(name), () => {})
  }
  return { known, node: process.version }
}

async function signClaims({ claims, alg, jwk }) {
  return new jose.SignJWT(claims).setProtectedHeader({ alg }).sign(await key(jwk))
}

async function readClaims({ token, alg, jwk, issuer, audience }) {
  const { payload } = await jose.jwtVerify(token, await key(jwk), { algorithms: [alg], issuer, audience })
  return payload
}

async function generated({ alg }) {
  const { privateKey } = await jose.generateKeyPair(alg, { extractable: true })
  return jose.exportJWK(privateKey)
}

const rewritten = async ({ jwk }) => jose.exportJWK(await jose.importJWK(jwk, jwk.alg, { extractable: true }))
const thumbprint = ({ jwk }) => jose.calculateJwkThumbprint(jwk)

async function readPem({ pem, alg, secret }) {
  const read = secret ? jose.importPKCS8 : jose.importSPKI
  return jose.exportJWK(await read(pem, alg, { extractable: true }))
}

async function writePem({ jwk, secret }) {
  const known = await jose.importJWK(jwk, jwk.alg, { extractable: true })
  return secret ? jose.exportPKCS8(known) : jose.exportSPKI(known)
}

const calls = { signClaims, readClaims, generated, rewritten, thumbprint, readPem, writePem, sign, verify, algorithms }
for await (const line of createInterface({ input: process.stdin })) {
  const { call, ...asked } = JSON.parse(line)
  const answer = await calls[call](asked).then(
    (given) => ({ given }),
    (error) => ({ refused: error.code ?? error.name, message: error.message }),
  )
  process.stdout.write(`${JSON.stringify(answer)}\n`)
}
