"""Free wordings of an ending in each native language, and friendly sentences that are none."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import pytest

from telephony.keywords import Keyword, fold, read
from tutor.script.catalogue import load

ENDINGS: Final[Mapping[str, tuple[str, ...]]] = {
    "en": (
        "I no longer wish to receive messages from you", "Quit messaging me", "please discontinue these",
        "leave me alone now", "get me off your list", "I withdraw consent", "Do not ever message me again",
        "i dont want these", "end this please", "STOOOOP", "sotp", "Unsuscribe me pls", "Could you please stop",
        "I'd like to cancel", "Kindly take my number off the list", "I do not wish to be contacted any more",
        "I don't want you to text me", "never text me again", "Wrong number!", "no more msgs plz",
        "Turn these notifications off", "I never signed up for this", "This is spam", "enough already",
        "I revoke my permission to text me", "I'm not interested anymore", "delete my number from your system",
        "pls dont send me anything", "Please cease all messages", "I want out of this: unsubscribe me",
        "Not interested, thanks", "cancel all of this", "no thank you, no more", "I didn't ask for these texts",
        "Could I be removed please", "I'd rather not get these", "I'd like these to end", "Can you not text me",
        "how do I unsubscribe", "take my name off", "no texts please", "Do not disturb", "Please don't bother me again",
        "Don't stop at one message: please stop it all",
    ),
    "es": (
        "Basta ya", "paren de escribirme", "Quiero cancelar", "parar mensajes", "por favor no escriban más",
        "no me molesten más", "¡¡¡Bastaaaa!!!", "Dejen de mandarme mensajes", "No me vuelvan a escribir",
        "ya no me escribas mas porfa", "Déjenme en paz", "Quisiera darme de baja, por favor", "quitenme de la lista",
        "Sáqueme de su lista", "No quiero que me manden nada", "ya no quiero", "No me interesa, gracias",
        "numero equivocado", "borren mi número", "Retiro mi consentimiento", "no autorizo que me escriban",
        "Podrían dejar de enviarme sms", "Favor de cancelar el servicio", "párenle ya", "pará de mandarme mensajes",
        "No deseo recibir más msjs", "Ni un mensaje más", "no me escrivan", "Me tienen harta", "no necesito esto",
        "ya déjenme", "No deseo ser contactado", "¿Cómo cancelo esto?", "ya me cansé de los mensajes",
        "¿Cómo hago para no recibir más mensajes?",
    ),
    "fr": (
        "ne me contactez plus", "cessez de m'écrire", "fichez-moi la paix", "Arrêêêtez", "j'en ai marre",
        "Je ne suis plus intéressé", "m'écrivez plus svp", "Merci de ne plus m'envoyer de messages",
        "Veuillez me désinscrire", "retirez mon numéro de votre liste", "Enlevez-moi de la liste",
        "je veux plus rien recevoir", "Laisse-moi tranquille", "foutez moi la paix", "Je retire mon consentement",
        "Arrêtez tout de suite", "mauvais numéro", "Je voudrais résilier", "annulez mon abonnement",
        "ne me dérangez plus", "Plus aucun message s'il vous plaît", "pouvez-vous arrêter",
        "Je n'ai jamais demandé ces messages", "stop a vos sms", "n'envoyez plus rien",
        "Je ne souhaite plus être contactée", "Je veux arrêter de recevoir vos messages", "C'est bon, arrêtez",
        "arrete de menvoyer des sms", "Je n'ai pas demandé ça", "lâchez-moi", "Je refuse de recevoir vos messages",
        "j'aimerais que ça s'arrête", "Tu peux arrêter stp",
    ),
    "pt": (
        "pare de me mandar mensagem", "quero cancelar", "quero sair da lista", "me tira dessa lista",
        "cancelar mensagens", "Não me incomode mais", "nao me mande mais nada", "n quero mais", "Chegaaa",
        "parem com isso", "Por favor, retirem o meu número", "Deixem-me em paz", "me deixa em paz",
        "Não tenho interesse, obrigada", "Quero me descadastrar", "gostaria de cancelar o serviço",
        "já não quero receber sms", "Deixe de me enviar mensagens", "número errado", "Retiro o meu consentimento",
        "Não autorizo mensagens", "Não voltem a contactar-me: não me contactem mais", "naum quero msg",
        "Não me perturbem", "Poderiam parar de me escrever?", "cancelem a minha inscrição",
        "Nunca pedi isto, nunca me inscrevi", "Por favor removam-me", "como cancelo isso", "Me exclui da lista",
        "não precisa mandar mais", "Não sou essa pessoa, engano",
    ),
    "zh": (
        "不要再打扰我", "请勿打扰", "别烦我", "不需要了", "不想要了", "不要再傳簡訊給我", "請勿再打擾",
        "我不想收到短信了", "别给我发消息了", "请把我从名单中删除", "取消订阅吧", "我不需要這些簡訊", "麻煩停止發送",
        "受够了你们的短信", "烦死了", "別再煩我了", "不要联系我", "我撤回同意", "你打错号码了", "停止吧谢谢",
        "唔好再發短訊俾我", "唔要", "我不感兴趣", "请你们不要再发了", "拒收短訊", "把我的号码删掉", "別吵",
        "请不要给我发任何信息", "请不要打扰", "如何取消", "不想用了", "我没同意", "能不能别发了",
    ),
    "ar": (
        "ألغوا الاشتراك", "وقفوا الرسائل", "خلاص كفاية رسائل", "كفاية", "أوقفوا هذا", "الغوا اشتراكي لو سمحتم",
        "لا أريد هذه الرسائل بعد الآن", "لا تزعجوني", "ما تبعتوليش رسائل تاني", "بطلوا رسائل بقى", "مش عاوز رسايل",
        "ما ابي رسايل", "ما بدي ياها", "سيبوني في حالي", "حلوا عني", "احذفوا رقمي من القائمة", "شيلوا رقمي",
        "الرقم غلط", "أرغب في إلغاء الخدمة", "أرجوكم توقفوا", "لا تتصلوا بي مرة أخرى", "كفااااية", "لم أشترك في هذا",
        "أسحب موافقتي", "من فضلكم لا ترسلو لي شي", "غير مهتم", "مو مهتم", "وقفو المسجات", "لا أريد المزيد",
        "أوقفوا الاشتراك", "كفاية كده", "ما عاد تبعتولي", "أزعجتونا", "كيف ألغي الاشتراك", "لا أرغب في تلقي الرسائل",
    ),
}  # fmt: skip
"""Reasonable wordings, of which any counts, with their typos and dialects."""

FRIENDLY: Final[Mapping[str, tuple[str, ...]]] = {
    "en": (
        "I liked the words from this week's list", "Please let me be the waiter next time", "from your list I know ten",
        "don't stop", "Please don't stop the messages", "stop by the café", "thanks, the messages help",
        "when is my next message?", "I can't stop laughing", "Where does the bus stop?", "I'll never stop learning",
        "I don't want to miss any messages", "I don't want the texts to end", "Can you help me with my homework?",
        "I want to order a coffee", "Could you send me more messages?", "I don't know how to write this",
        "Is this the end of the text?", "We will stop at the market", "Stop the taxi here, I'd say!",
        "Thank you for the message, I want more", "I don't need help with the text",
        "I need to cancel my hotel booking", "Which stop is the museum?", "When do the lessons stop?",
        "I quit my job last year", "How do I get off the bus?", "Why didn't I get a text?", "Please keep texting me",
        "No more coffee, thank you",
    ),
    "es": (
        "no quiero parar de aprender", "Gracias, los mensajes me ayudan", "¿Cuándo llega el próximo mensaje?",
        "No pares", "No me llamo Pedro", "Para mí un café con leche", "No quiero perderme ningún mensaje",
        "No puedo dejar de reír", "Quiero más mensajes", "¿Qué es un mensaje?", "Mi amiga no me escribió ayer",
        "no me molesta el ruido", "Quiero cancelar la reserva del hotel", "Estoy de baja esta semana", "qué alto es",
        "No quiero dejar de recibir mensajes", "Deja de llover mañana", "para todos", "¿Puede parar aquí?",
        "¿Por qué no me mandan el resumen?", "Ya basta para hoy, mañana más", "No necesito bolsa",
    ),
    "fr": (
        "je ne veux pas arrêter d'apprendre", "Merci, vos messages m'aident", "Quand est le prochain message ?",
        "N'arrêtez pas !", "ça ne me dérange pas", "Je ne m'appelle pas Paul", "Je ne veux rater aucun message",
        "je ne veux pas rater vos messages", "Où s'arrête le bus ?", "À la fin du message", "Vous ne me dérangez pas",
        "Je veux résilier mon bail", "J'ai trop mangé", "J'ai bien reçu le message", "Je fais du stop",
        "Pourquoi je ne reçois plus de messages ?", "Ça suffit pour aujourd'hui, à demain", "laisse moi réfléchir",
    ),
    "pt": (
        "Como faço para receber o resumo?",
        "não quero parar de aprender", "Obrigado, as mensagens ajudam", "Quando chega a próxima mensagem?", "Não pare!",
        "Não para de chover", "Para mim um café", "Não quero perder nenhuma mensagem", "Isso não me incomoda",
        "Quero cancelar a reserva do hotel", "Parabéns", "Quero mais mensagens", "Onde é a paragem?",
        "Não consigo parar de rir", "Meu amigo não me escreveu", "Por que não recebo mais mensagens?",
        "Pode parar aqui", "Deixe uma mensagem",
    ),
    "zh": (
        "为什么我不能发短信？", "我不能发送",
        "不要停", "谢谢，这些短信很有帮助", "下一条短信什么时候来？", "我不想停止学习", "我不想错过任何消息",
        "别忘了给我发短信", "我不想打扰你", "我没收到短信", "公交车停在哪里？", "不要忘记发消息", "不用谢",
        "我要一杯咖啡，不要糖", "我想取消酒店预订", "別擔心", "请再发一次", "我想要更多短信", "停一下，我没听懂",
        "为什么没有消息",
    ),
    "ar": (
        "لا تتوقفوا", "شكرا، الرسائل مفيدة", "متى الرسالة القادمة؟", "لا أريد أن أتوقف عن التعلم",
        "لا أريد أن تفوتني الرسائل", "خلاص وصلتني الرسالة", "أريد رسائل أكثر", "أريد قهوة بدون سكر", "دعني أفكر",
        "وصلت بس رسالة واحدة", "أين تقف الحافلة؟", "لم تصلني الرسالة", "أحب الغداء مع أصدقائي", "لا تنسوا رسائلي",
        "لماذا لا تصلني الرسائل؟", "أريد إلغاء الحجز", "يكفي سكر واحد",
    ),
}  # fmt: skip
"""What learners and families write who are glad of the texts, or ask, or practise."""

HELP: Final = ("help", "ayuda", "aide", "ajuda", "帮助", "幫助", "مساعدة", "مساعده", "help please", "who is this?")


@pytest.mark.parametrize("text", [text for texts in ENDINGS.values() for text in texts])
def test_free_wordings_end_the_texts(text: str) -> None:
    """Who says in their own words that texts should end, is understood, however it is typed."""
    assert read(text) is Keyword.STOP


@pytest.mark.parametrize("text", [text for texts in FRIENDLY.values() for text in texts])
def test_friendly_sentences_end_nothing(text: str) -> None:
    """Who is glad of the texts, asks about them or practises, goes on getting them."""
    assert read(text) is None


@pytest.mark.parametrize("text", HELP)
def test_help_is_no_ending(text: str) -> None:
    """Who asks for help gets help."""
    assert read(text) is Keyword.HELP


def test_traditional_characters_and_loose_spelling() -> None:
    """A wording means the same in traditional characters, with the letters Arabic leaves to the writer, drawn out."""
    assert fold("請勿打擾，別再發簡訊") == fold("请勿打扰，别再发简讯")
    assert fold("كفاية على") == fold("كفايه علي")
    assert fold("Stooooop") == "stop"


def test_every_native_language_has_its_tables() -> None:
    """The tables speak each language that the line speaks to callers."""
    natives = {language.base for language in load().natives}
    assert natives == set(ENDINGS) == set(FRIENDLY)
    assert min(map(len, ENDINGS.values())) >= 15
    assert min(map(len, FRIENDLY.values())) >= 8
