"""Templates and word lists of the synthetic text messages, by topic. {slot} is filled from SLOTS or by sms.py."""

from sampling.common import listed

SLOTS = {
    "name": listed(
        "nadia | bruno | tess | oskar | leni | marek | ivo | pilar | hugo | wanda | dario | freya | kolya "
        "| mina | ruben | sanna"
    ),
    "place": listed(
        "the library | town | the gym | my flat | the station | campus | the park | mums | the bus stop | "
        "the corner shop | the cinema | the river | tess's place | the market"
    ),
    "food": listed(
        "pasta | noodles | soup | toast | a curry | pizza | chips | rice and beans | salad | a sandwich | "
        "pancakes | an omelette"
    ),
    "day": listed(
        "tonight | tomorrow | later | on friday | on sunday | after class | at the weekend | in the "
        "morning | next week | before work"
    ),
    "hour": listed("7 | 8 | half 6 | 9ish | 5.30 | noon | 10 | quarter past 4"),
    "subject": listed("chem | maths | history | stats | french | the essay | physics | the project"),
    "thing": listed("charger | umbrella | jacket | notes | keys | guitar | bike | camera | scarf | lunchbox"),
    "smile": listed(":) | :-) | ;) | :D | xx | x | lol | haha | :( | :P | <3"),
    "mood": listed("tired | bored | happy | sleepy | so hungry | fine | a bit ill | excited | stuck | cold"),
    "film": listed("that space film | the new cartoon | the match | the quiz show | that cooking thing | the news"),
    "prize": listed(
        "holiday for two | new camera phone | shopping voucher | games console | city break | gold watch "
        "| tablet | cash bonus"
    ),
    "service": listed("ringtones | wallpapers | live scores | horoscopes | joke alerts | logo packs | quiz tips"),
    "brand": listed("TeleZing | MobiJoy | FonoPlus | RingoRama | TxtMania | ZapCell"),
    "word": listed("WIN | YES | GO | PLAY | CLAIM | STAR | TONE | BONUS"),
}

OPENINGS = [
    "",
    "",
    "",
    "",
    "hey {name}, ",
    "hi, ",
    "yo ",
    "oh ",
    "ok ",
    "sorry, ",
    "{name}! ",
    "lol ",
    "hey ",
    "hmm ",
    "babe ",
    "morning {name}, ",
    "mate, ",
]
CLOSINGS = [
    "",
    "",
    "",
    " {smile}",
    " {smile}",
    " x",
    "..",
    " see you",
    " let me know",
    " ok?",
    " love you",
    " ring me",
    " anyway how are you",
    " thanks",
    "!",
]

HAM = {
    "meet": [
        "are you still coming to {place} {day}",
        "i will be at {place} by {hour}, wait for me there",
        "can we move it to {hour}? i am running late",
        "waiting outside {place}, where are you",
        "we are all going to {place} {day}, do you want to come with us",
        "do not wait for me, i will go straight to {place}",
        "meet you at {place} at {hour} then",
        "{name} says {place} is closed {day}, so where should we meet",
    ],
    "food": [
        "i am making {food} {day}, want some",
        "did you eat? there is {food} in the fridge",
        "can you buy milk and bread on your way back",
        "{food} with {name} was the best thing i had this week",
        "i burnt {food} again, please bring something to eat",
        "there was {food} here at {hour}, was it {name} who finished it",
        "shall we have {food} or {food} {day}",
    ],
    "home": [
        "i left my {thing} at {place}, can you bring it",
        "is anyone home? i forgot my {thing}",
        "mum wants to know when you come home {day}",
        "the heater is broken again so i am {mood}",
        "{name} has your {thing}, get it {day}",
        "have you seen my {thing}? i think it is at {place}",
        "your turn to clean the kitchen before {name} gets back",
    ],
    "study": [
        "did you finish {subject}? i am stuck on the second part",
        "the test on {subject} was so hard, i think i failed",
        "can you send me the notes for {subject} {day}",
        "professor moved the class to {hour}, tell {name}",
        "i have been reading {subject} all day and i am {mood}",
        "library until {hour} and then sleep",
        "my group still has not started {subject}, we are doomed",
    ],
    "love": [
        "i miss you so much, wish you were here",
        "thinking about you all day",
        "had a lovely time with you at {place}",
        "sleep well and dream of me",
        "can not wait to see you {day}",
        "you make me smile even when i am {mood}",
        "happy birthday {name}, hope you have a great day",
    ],
    "work": [
        "still in a meeting, will call you when i get out",
        "boss wants me to stay until {hour}, so annoying",
        "finished early today, are you free {day}",
        "got the job! i start next week",
        "can you cover my shift {day}",
        "i have an interview at {hour}, wish me luck",
        "on my break now, what did you want to ask",
    ],
    "travel": [
        "the bus is stuck in traffic, i will be late",
        "my train leaves at {hour} from platform {digit}",
        "just arrived, the journey was long and i am {mood}",
        "missed the last bus, can {name} pick me up",
        "which bus goes to {place} from yours",
        "it is raining like mad here, take your {thing}",
    ],
    "health": [
        "i feel {mood} today so i will stay in bed",
        "how is your knee? still going to the doctor {day}",
        "took the pills and slept until {hour}",
        "the dentist said it is nothing, what a relief",
        "are you feeling better? {name} is worried about you",
    ],
    "fun": [
        "are you watching {film}? it is so funny",
        "that game last night was unreal, we lost by {digit}",
        "{name} told me what happened at {place}, i can not stop laughing",
        "turn on the telly, {film} is on now",
        "i beat your score haha, it is {small} now",
        "party at {place} {day}, bring your {thing}",
    ],
    "money": [
        "i will pay you back {day}, promise",
        "do you have change for the bus? i only have a {small} note",
        "rent is due {day}, it is {small} each",
        "i owe {name} {small} for the tickets",
        "can you lend me {small} until {day}",
    ],
    "phone": [
        "my battery is dying so i will text you {day}",
        "new number, save it: {phone}. it is {name}",
        "why is your phone off? i called {digit} times",
        "no credit left, can you ring me at {hour}",
        "got your message, i will reply {day}",
    ],
}

SPAM = {
    "prize": [
        "{shout} You have been chosen to receive a {prize} worth {money}. To claim call {phone} now! Ref {code}",
        "{shout} Your mobile number won a {money} {prize}. Text {word} to {short} before midnight. 18+ only",
        "{brand} draw: no {digits4} wins a {prize}! Call {phone} from a landline. Calls {pence}/min",
        "You are a guaranteed winner of {money} cash or a {prize}. Collect at {url} code {code}",
        "Final notice: your {prize} is waiting since {date}. Ring {phone} to arrange delivery. T&Cs apply",
        "{shout} Answer this: is Lima in Peru? Text A or B to {short} and WIN a {prize}! {pence} per msg",
    ],
    "service": [
        "Get {small} FREE {service} every week from {brand}! Reply {word} to {short}. Stop? txt STOP. {pence}/wk",
        "NEW {service} for your phone! Go to {url} and enter {code}. Only {pence} each",
        "{brand}: your {service} trial ends {date}. To keep it send {word} to {short}, {pence} a week",
        "Hot {service} now on {url}! First {digit} are FREE 4 U, then {pence}. Txt {word} {short}",
        "Unlimited txts and {small} mins free for {digit} months with {brand}. Call {phone} 2day",
    ],
    "loan": [
        "Need cash fast? Loans from {money}, no questions asked. Call {phone} or visit {url}",
        "Our records show you may be owed {money} after your accident. To claim free reply {word} to {short}",
        "Debts over {money}? A new rule may write them off. Text {word} to {short} 4 info. Opt out: STOP",
    ],
    "chat": [
        "Hi its {name}! Im online now and want 2 meet u. See my pics at {url} {pence}/msg 18+",
        "Somebody near you has a secret crush! Find out who, call {phone}. {pence} per min",
        "Singles in your area want 2 chat tonight. Txt {word} to {short}. Cost {pence}, 18+",
        "You have {digit} new voice messages from a mystery caller. Dial {phone} to listen. {pence}/min",
    ],
}

# Sent several times over with other digits in the place of every #.
NEAR_COPIES = [
    "{shout} Reward code QX###: £#50 to be paid out today. Phone 0808 1570 3## at once. Box ####",
    "Dear customer, ###0 bonus points expire on 1#/0#. Swap them for a {prize} at www.example.net/swap##",
    "FREE entry! Guess the score and win £#00. Send {word} to 555##. £1.#0/entry, 16+",
    "{brand} alert: handset upgrade approved for no ####. Order on 0909 8790 1## today",
]

# Hard for a reader of digits and capitals: written once each, so that no template gives them away.
HAM_LIKE_SPAM = [
    "CALL ME NOW!!! I locked myself out and its freezing, 555 0117 is tess's landline",
    "WE WON!!! 4-2 after extra time, what a night, free drinks on bruno",
    "The hotel is £85 a night or £140 for 2, should i book it? code for the discount is SUNNY10",
    "Text me your postcode and i will send the parcel, it costs about £3.20",
    "Claim form for the train is on www.example.com/refunds, we can get £12 back i think",
    "Your order 4471 is ready at the counter, open till 8. Bring the receipt",
    "Reminder: dentist on 14/03 at 16.45. Reply if you can not come. Dr Moss",
    "ITS FREE ENTRY BEFORE 10 so please hurry up everybody is here",
    "urgent!! which account do i pay the 250 deposit into? the landlord wants it today",
    "Congratulations on the new baby!!! 3.4 kilos, wow. Call us when you can",
    "I won the raffle at school lol, my prize is a cake and a £5 voucher",
    "Can u txt the wifi code? tried 88213 and 88231 and neither works",
    "Free this weekend? got 2 tickets for saturday, £15 each, reply asap",
    "Wired 300 to ur bank, ref HUGO12, should land by monday",
    "Mobile shop says new screen is 60 quid + 2 days wait. Worth it?",
    "Last chance to sign the card 4 pilar, its at reception till 3pm",
    "Vote 4 our band!! Go to example.org/bands and pick number 9 pls pls",
    "Customer parking closes at 6 so move ur car or its a £70 fine",
]
SPAM_LIKE_HAM = [
    "hey its me from the other night, you never wrote back. come and chat with me on my page, im so lonely",
    "want to earn some extra money from home? ask me how, its really easy",
    "thanks for joining our club. you will get a message from us every day until you say no",
]

# How people shorten words; applied word by word, more often in ham than in spam.
SHORT_FORMS = dict(
    pair.split("=")
    for pair in listed(
        "you=u | are=r | to=2 | for=4 | your=ur | tomorrow=tmrw | please=pls | because=cos | see=c | "
        "later=l8r | great=gr8 | and=&amp; | i am=im | can not=cant | with=wiv | have=hav | what=wat | "
        "think=fink | going=goin | thanks=thx | message=msg | the=da | about=bout | tonight=2nite | it is=its "
        "| do not=dont | will=wil | that=dat"
    )
)

SHOUTS = [
    "URGENT!",
    "WINNER!!",
    "Congratulations!",
    "CONGRATS!",
    "Important msg:",
    "FREE MSG:",
    "ATTENTION!",
    "Lucky you!",
    "Well done!",
]
