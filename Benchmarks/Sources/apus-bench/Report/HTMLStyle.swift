// The style sheet of the HTML page: follows the reader's choice of light or dark.

enum HTMLStyle {
    static let css = """
        :root {
          --ground: #fcfcfb; --ink: #1c1b1a; --quiet: #66625d; --rule: #dedad4;
          --apus: #0b66c3; --peer: #8d887f; --notice: #fff3d6;
          --faster2: #bfe3cb; --faster: #e3f3e6; --slower: #fde6d9; --slower2: #f8c3a9;
        }
        @media (prefers-color-scheme: dark) {
          :root {
            --ground: #171615; --ink: #eceae6; --quiet: #a39e96; --rule: #3a3733;
            --apus: #62abf5; --peer: #857f76; --notice: #40330f;
            --faster2: #1c5433; --faster: #1c3526; --slower: #472a1b; --slower2: #742f14;
          }
        }
        body {
          max-width: 84rem; margin: 0 auto; padding: 1.5rem;
          background: var(--ground); color: var(--ink); font: 15px/1.5 system-ui, sans-serif;
        }
        h1 { font-size: 1.7rem; } h2 { font-size: 1.25rem; margin-top: 3rem; } h3 { font-size: 1.05rem; margin: 0; }
        a { color: var(--apus); }
        table { border-collapse: collapse; margin: 1rem 0; font-size: 0.9rem; }
        caption { text-align: left; color: var(--quiet); padding-bottom: 0.3rem; }
        th, td { text-align: left; font-weight: normal; padding: 0.2rem 0.7rem; border-bottom: 1px solid var(--rule); }
        .figures td, .figures th + th { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
        .faster2 { background: var(--faster2); } .faster { background: var(--faster); }
        .slower { background: var(--slower); } .slower2 { background: var(--slower2); }
        .notice { background: var(--notice); padding: 0.5rem 0.8rem; border-radius: 4px; }
        .wide { overflow-x: auto; }
        article { border-top: 1px solid var(--rule); padding: 1.2rem 0; }
        article p { color: var(--quiet); margin: 0.1rem 0 0.6rem; }
        .plots { display: flex; flex-wrap: wrap; gap: 0.8rem 2rem; }
        figure { margin: 0; max-width: 100%; } figcaption { color: var(--quiet); font-size: 0.85rem; }
        summary { cursor: pointer; color: var(--quiet); font-size: 0.9rem; }
        svg { max-width: 100%; height: auto; font: 12px system-ui, sans-serif; }
        svg text { fill: var(--ink); } svg text.apus { font-weight: 600; } svg text.axis { fill: var(--quiet); }
        svg rect.apus, svg circle.apus { fill: var(--apus); } svg rect.peer, svg circle.peer { fill: var(--peer); }
        svg line { stroke-width: 1.5; }
        svg line.apus, svg circle.apus { stroke: var(--apus); } svg line.peer, svg circle.peer { stroke: var(--peer); }
        svg line.whisker { stroke: var(--ink); } svg line.grid { stroke: var(--rule); stroke-width: 1; }
        svg circle.most { fill: var(--ground); }
        """
}
