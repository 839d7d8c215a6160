// All texts of the page. What a node says stays as it says it, in English.

const WORDS = {
  en: {
    skip: "To the table of spans", language: "Language", map: "Map of the network", keys: "Keys from end to end", alarms: "Alarms",
    drills: "Drills", drillsNote: "Each has something happen to the demonstration, as a person with access could.",
    applications: "Two applications", spans: "Spans", span: "Span", qber: "QBER", rate: "Key rate", stock: "Key in stock",
    spansCaption: "All spans with their error rate, key rate, stock and reserve: what the map shows",
    spansNote: "QBER: quantum bit error rate. Small curves: the last five minutes. Reserve: how long the stock lasts at the demand of late, if nothing is added.",
    sites: "Sites", footer: "Tokaido. This page is served on this machine alone, and no key is ever on it.",
    encrypt: "Encrypt", decrypt: "Open", onTheWay: "On the way",
    pictureIs: "The picture: a mountain at dawn above the sea", ciphertextIs: "The ciphertext of the picture: noise, or nothing yet",
    openedIs: "The picture as it was opened, or nothing yet",
    at: (name, site) => `${name}, ${site}`,
    connecting: "Connecting", live: (time) => `Live, ${time}`, lost: (time) => `No connection. Values are of ${time}`,
    lostWhy: (why) => `No live values: ${why}`, ended: "The server was started again: open the address that it printed",
    old: "Values on this page are old now.", back: "Values are live again.",
    emulated: "Emulated: its keys protect nothing", real: "",
    qberOf: ["under 3 %", "3 to 5 %", "5 to 8 %", "8 to 11 %", "11 % and more"], none: "gives no key", key: "a key on its way",
    levels: { fine: "fine", degraded: "degraded", "not serving": "serves no keys", silent: "silent" },
    severities: { CRITICAL: "Critical", MAJOR: "Major", MINOR: "Minor", WARNING: "Warning", INDETERMINATE: "Indeterminate", CLEARED: "Cleared" },
    drillStates: { ready: "", running: "running", passed: "passed", failed: "failed", unavailable: "not possible now" },
    verdictFine: (sites, spans) => `All ${sites} sites are fine, and all ${spans} spans give keys.`,
    verdict: (bad, sites, still, spans, alarms) => [
      bad ? `${bad} of ${sites} sites ${bad === 1 ? "is" : "are"} not fine` : `All ${sites} sites are fine`,
      still ? `${still} of ${spans} spans ${still === 1 ? "gives" : "give"} no key` : `all ${spans} spans give keys`,
      `${alarms} ${alarms === 1 ? "alarm stands" : "alarms stand"}`].join("; ") + ".",
    mapSays: (sites, spans) => `${sites} sites and ${spans} spans. The tables below say the same.`,
    reserve: "reserve", reserveIs: "Reserve at the demand of late", noDemand: "nothing is asked for",
    ready: (ready, target) => `${ready} of ${target} keys ready`, route: "Route", noRoute: "There is no route now",
    disjoint: (n) => `Route ${n}`, noKey: "no key", noAlarms: "None.", noPairs: "No two nodes keep keys for each other.",
    unknown: "not known", of: (what) => ` of ${what}`, followsFrom: (cause) => `follows from ${cause}`, acknowledged: "acknowledged",
    since: (time) => `since ${time}`, expected: "Expected", path: (path) => `path ${path}`,
    speed: (speed) => `${speed} x real time`, devices: "Devices", noDevices: "No device is known.", appsHere: "Applications",
    noAnswer: "does not answer", scale: (bits) => `(bar: ${bits})`,
    cipherIs: (cipher, bits) => `${cipher}, a new key of ${bits} bit each time`,
    saidAlarm: (severity, code, site) => `New alarm at ${site}: ${severity}, ${code}.`, saidCleared: (code, site) => `Cleared at ${site}: ${code}.`,
    saidMore: (n) => `and ${n} more alarms.`, refused: "Refused", began: (title) => `Began: ${title}`, day: "d", hour: "h",
  },
  ja: {
    skip: "区間の表へ", language: "言語", map: "ネットワークの地図", keys: "端から端までの鍵", alarms: "警報",
    drills: "障害訓練", drillsNote: "ボタンを押すと、デモのネットワークに実際に障害が起こる。",
    applications: "二つの応用", spans: "区間", span: "区間", qber: "QBER", rate: "鍵生成速度", stock: "鍵の在庫",
    spansCaption: "すべての区間の誤り率、鍵生成速度、在庫、残り時間（地図と同じ内容）",
    spansNote: "QBER：量子ビット誤り率。小さな曲線：直近5分間。残り時間：補充がない場合に、最近の需要で在庫がもつ時間。",
    sites: "拠点", footer: "Tokaido。このページはこの計算機の中だけで配信され、鍵は一切含まれない。",
    encrypt: "暗号化する", decrypt: "復号する", onTheWay: "通信路上",
    pictureIs: "元の画像：夜明けの海と山", ciphertextIs: "暗号化された画像：雑音、または未送信", openedIs: "復号された画像、または未復号",
    at: (name, site) => `${name}（${site}）`,
    connecting: "接続中", live: (time) => `最新 ${time}`, lost: (time) => `接続なし。値は ${time} のもの`,
    lostWhy: (why) => `最新の値なし：${why}`, ended: "サーバが再起動した。表示されたアドレスを開き直すこと",
    old: "このページの値は古くなった。", back: "値は再び最新。",
    emulated: "エミュレーション：この鍵では何も保護されない", real: "",
    qberOf: ["3 % 未満", "3～5 %", "5～8 %", "8～11 %", "11 % 以上"], none: "鍵なし", key: "中継中の鍵",
    levels: { fine: "正常", degraded: "機能低下", "not serving": "鍵供給停止", silent: "応答なし" },
    severities: { CRITICAL: "緊急", MAJOR: "重大", MINOR: "軽微", WARNING: "警告", INDETERMINATE: "不明", CLEARED: "解除" },
    drillStates: { ready: "", running: "実行中", passed: "合格", failed: "不合格", unavailable: "現在は不可" },
    verdictFine: (sites, spans) => `全${sites}拠点が正常、全${spans}区間が鍵を生成中。`,
    verdict: (bad, sites, still, spans, alarms) => [
      bad ? `${sites}拠点のうち${bad}拠点が異常` : `全${sites}拠点が正常`,
      still ? `${spans}区間のうち${still}区間が鍵なし` : `全${spans}区間が鍵を生成中`, `警報${alarms}件`].join("、") + "。",
    mapSays: (sites, spans) => `${sites}拠点、${spans}区間。下の表と同じ内容。`,
    reserve: "残り", reserveIs: "最近の需要での残り時間", noDemand: "需要なし",
    ready: (ready, target) => `鍵 ${ready} / ${target} 個`, route: "経路", noRoute: "現在、経路なし",
    disjoint: (n) => `経路 ${n}`, noKey: "鍵なし", noAlarms: "なし。", noPairs: "鍵を共有する拠点の組はない。",
    unknown: "不明", of: (what) => `（${what}）`, followsFrom: (cause) => `${cause} に起因`, acknowledged: "確認済み",
    since: (time) => `${time} から`, expected: "予想", path: (path) => `経路 ${path}`,
    speed: (speed) => `実時間の ${speed} 倍`, devices: "装置", noDevices: "装置の情報なし。", appsHere: "応用",
    noAnswer: "応答なし", scale: (bits) => `（棒の全長：${bits}）`,
    cipherIs: (cipher, bits) => `${cipher}、毎回新しい ${bits} ビットの鍵`,
    saidAlarm: (severity, code, site) => `${site}で新しい警報：${severity}、${code}。`, saidCleared: (code, site) => `${site}で解除：${code}。`,
    saidMore: (n) => `ほか${n}件の警報。`, refused: "拒否された", began: (title) => `開始：${title}`, day: "日", hour: "時間",
  },
};

let language = "en";

export function setLanguage(to) { language = to; }
export const isJapanese = () => language === "ja";
export const words = () => WORDS[language];
/** What people call something, in the language of the page. */
export const titleOf = (item) => (language === "ja" && item.title_ja) || item.title;

export function saved() {
  try {
    const kept = localStorage.getItem("language");
    if (kept in WORDS) return kept;
  } catch { /* a browser that keeps nothing */ }
  return (navigator.language || "").startsWith("ja") ? "ja" : "en";
}

export function save(to) {
  try { localStorage.setItem("language", to); } catch { /* a browser that keeps nothing */ }
}

const NUMBER = new Intl.NumberFormat("en", { maximumSignificantDigits: 3 });

export const percent = (qber) => `${(100 * qber).toFixed(1)}\u00a0%`;

export function amount(value, unit) {
  for (const [size, prefix] of [[1e9, "G"], [1e6, "M"], [1e3, "k"]]) {
    if (value >= size) return `${NUMBER.format(value / size)} ${prefix}${unit}`;
  }
  return `${NUMBER.format(value)} ${unit}`;
}

/** A duration that can be read while it runs down. */
export function countdown(seconds) {
  const whole = Math.max(0, Math.floor(seconds));
  const [hours, minutes, rest] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
  const { day, hour } = words();
  if (hours >= 48) return `${Math.floor(hours / 24)} ${day} ${hours % 24} ${hour}`;
  return `${hours}:${String(minutes).padStart(2, "0")}:${String(rest).padStart(2, "0")}`;
}

export const clock = (utc) => new Date(utc * 1000).toLocaleTimeString("en-GB");
