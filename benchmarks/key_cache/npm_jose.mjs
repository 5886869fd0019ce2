// npm jose behind the calls of child.py: one JSON line for each JSON line.
import { createInterface } from 'node:readline'
import { setTimeout as sleep } from 'node:timers/promises'
import * as jose from 'jose'

let keys
const seconds = () => performance.now() / 1000
const rules = { issuer: 'https://id.example', audience: 'orders', algorithms: ['RS256'] }

async function once(token) {
  const began = seconds()
  try {
    await jose.jwtVerify(token, keys, rules)
    return [true, seconds() - began]
  } catch {
    return [false, seconds() - began]
  }
}

async function attack(tokens, until) {
  let attempts = 0
  while (seconds() < until) {
    await once(tokens[attempts % tokens.length])
    attempts += 1
    await sleep(10)
  }
  return attempts
}

const calls = {
  async new({ url, ttl_s = 300, timeout_s = 2, cooldown_s = null }) {
    const options = { cacheMaxAge: ttl_s * 1000, timeoutDuration: timeout_s * 1000 }
    if (cooldown_s !== null) options.cooldownDuration = cooldown_s * 1000
    keys = jose.createRemoteJWKSet(new URL(url), options)
    return null
  },
  async many({ tokens, pause_s = 0 }) {
    const seen = []
    for (const token of tokens) {
      seen.push(await once(token))
      if (pause_s) await sleep(pause_s * 1000)
    }
    return seen
  },
  together: ({ tokens }) => Promise.all(tokens.map(once)),
  async overlap({ first, second, gap_s }) {
    const waiting = once(first)
    await sleep(gap_s * 1000)
    return [await once(second), await waiting]
  },
  async until({ token, every_s, limit_s }) {
    const began = seconds()
    let failed = 0
    while (seconds() - began < limit_s) {
      if ((await once(token))[0]) return [seconds() - began, failed]
      failed += 1
      await sleep(every_s * 1000)
    }
    return [null, failed]
  },
  async convoy({ victim, attackers, seconds: duration }) {
    const until = seconds() + duration
    const attacks = attackers.map((tokens) => attack(tokens, until))
    const waits = []
    let served = 0
    while (seconds() < until) {
      const [accepted, wait] = await once(victim)
      waits.push(wait)
      served += accepted ? 1 : 0
      await sleep(20)
    }
    const attempts = (await Promise.all(attacks)).reduce((sum, one) => sum + one, 0)
    return { served, waits, attempts }
  },
}

for await (const line of createInterface({ input: process.stdin })) {
  const { call, ...asked } = JSON.parse(line)
  let answer
  try {
    answer = { given: await calls[call](asked) }
  } catch (error) {
    answer = { refused: `${error.name}: ${error.message}` }
  }
  process.stdout.write(JSON.stringify(answer) + '\n')
}
