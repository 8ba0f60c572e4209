"""Typed markers: which words say what a prompt wants, in groups that a reader can check.

Groups follow what published pipelines and published false alarms have in common, not the wording of
one data set: a prompt that makes prompts, one that grades answers, one that wants its reasoning
shown, one whose answer a program will read, one that speaks for a product. Each group is a bit.
"""

MAKE, META, VARY, MODEL, RATE, REPLY, REASON, LIMIT, PRODUCT, QUOTE, LONG, FIRM = (
    1 << place for place in range(12)
)
NAMES = (
    "make",
    "meta",
    "vary",
    "model",
    "rate",
    "reply",
    "reason",
    "limit",
    "product",
    "quote",
    "long",
    "firm",
)

_GROUPS: dict[int, str] = {
    # Verbs that ask for new text to be made.
    MAKE: """generate generates generated generating create creates creating write writing compose
        produce producing invent design devise draft formulate construct propose synthesize
        synthesise rewrite rewriting rewritten rephrase paraphrase reword imagine brainstorm evolve
        augment simulate expand come list complete erstelle erzeuge schreibe formuliere entwirf""",
    # What a training set consists of.
    META: """instruction instructions prompt prompts task tasks question questions problem problems
        example examples conversation conversations dialogue dialogues dialog dataset datasets
        sample samples exercise exercises scenario scenarios pair pairs qa seed seeds
        demonstration demonstrations requirement requirements trajectory trajectories transcript
        anweisung anweisungen aufgabe aufgaben frage fragen beispiele""",
    # A wish for variety or difficulty, which no single answer needs.
    VARY: """diverse diversity diversify different various varied variety vary unique novel new
        creative rare rarer complex complexity complicated difficult difficulty challenging harder
        original distinct repeat repeating inspiration realistic random verschiedene vielfältig
        abwechslungsreich neue schwieriger""",
    # Speaking about models, and of a human beside an assistant.
    MODEL: """gpt chatgpt llm llms ai model models assistant assistants bot chatbot agent human
        user users finetune fine tuning training ki modell""",
    # Grading.
    RATE: """rate rates rating ratings score scores scoring grade grading evaluate evaluation judge
        critique critiques criticism criteria rubric quality assess assessment feedback rank
        ranking preference helpfulness helpful truthfulness honesty bewerte bewertung""",
    # The output of a model as an object.
    REPLY: """response responses answer answers output outputs completion completions reply replies
        solution solutions antwort antworten lösung""",
    # A wish to see why.
    REASON: """step steps reasoning reason explain explanation explanations rationale rationales
        intermediate thought thoughts thinking justify justification derive derivation logically
        detailed detail why schritt schritte begründung erkläre""",
    # The answer is short, chosen, or read by a program.
    LIMIT: """only json xml yaml csv sql regex schema label labels letter exactly concise brief
        briefly short category categories classify categorise categorize extract format options
        option choices yes no true false sentence sentences possible following entities
        intent sentiment nur kategorie""",
    # Somebody's product speaks.
    PRODUCT: """customer customers client clients company our your booking bookings order orders
        account shop store brand policy guidelines support concierge employee employees
        kunde kunden bestellung""",
    # Material is handed over to be worked on.
    QUOTE: """passage context article paragraph document text listing comment review title below
        above given caption summary summarize summarise summarization translate translation
        correct extract artikel dokument übersetze""",
    # Long free text is wanted.
    LONG: """essay story article poem describe explain discuss list plan detailed comprehensive
        function program code implement recipe letter speech compare tutorial guide analyze
        analyse outline""",
    # Tone of command that products use on their own assistants.
    FIRM: """never always must ensure avoid do not don't should strictly refuse provide""",
}

MARKERS: dict[str, int] = {}
for _bit, _words in _GROUPS.items():
    for _word in _words.split():
        MARKERS[_word] = MARKERS.get(_word, 0) | _bit

_HAN_GROUPS: dict[int, str] = {
    MAKE: "生成 创建 编写 改写 设计 创作 构造 写出 请写 写一",
    META: "指令 任务 问题 例子 示例 对话 数据集 样本 题目",
    VARY: "不同 多样 新的 复杂 独特",
    MODEL: "模型 助手 人工智能 用户",
    RATE: "评分 评价 打分 评估",
    REPLY: "回答 答案 回复 输出",
    REASON: "步骤 推理 解释 原因 理由 思考",
    LIMIT: "只 仅 类别 标签 选项 分类 提取 简短",
    PRODUCT: "客户 订单 公司 客服",
    QUOTE: "文章 文本 段落 摘要 翻译 上述 以下",
    LONG: "描述 讨论 计划 列出 故事 文案",
}
"""Scripts without spaces: a few terms of each group, matched before single characters."""
for _bit, _words in _HAN_GROUPS.items():
    for _word in _words.split():
        MARKERS[_word] = MARKERS.get(_word, 0) | _bit
HAN = sorted((w for group in _HAN_GROUPS.values() for w in group.split()), key=len, reverse=True)

_IMPERATIVES = """
    write generate create describe explain list give make find identify classify name provide
    suggest compare summarize summarise rewrite edit convert construct design develop calculate
    compute determine propose compose translate outline analyze analyse discuss categorize
    categorise predict tell come brainstorm rearrange sort arrange add remove replace change insert
    delete transform select choose pick match complete fill draft evaluate rate estimate solve prove
    derive implement build produce invent imagine paraphrase rephrase reword simplify state define
    formulate order rank group combine join split count detect check correct reverse print return
    output calculate measure plan organize show illustrate demonstrate highlight extract act
    assume pretend consider answer recommend advise report research summarise interpret infer
    erkläre beschreibe schreibe nenne erstelle gib
"""
IMPERATIVES = frozenset(_IMPERATIVES.split())
_ASKING = """
    what why how who when where which whose whom is are was were do does did can could would
    should will has have am in if was wie wer wann wo warum welche
"""
ASKING = frozenset(_ASKING.split())
ELSEWHERE = frozenset(("to", "for", "that", "which", "from", "using", "based", "about", "as"))
"""After these words a noun is no longer what the verb before them makes."""

_STOP = """
    the a an of to and in is that it for on with as are this be by at from or was which you your
    i my me we he she they his her their not but if can do what how who when where why will have has
    had there one two so all any no into than then them its also been were would could should about
    der die das und ist ein eine zu von mit den im
"""
STOP = frozenset(_STOP.split())
