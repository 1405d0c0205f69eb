"""Words that stand in one another's place: of one kind and one form, so that a sentence stays one."""

KINDS = """
dog cat horse bird lion fox cow sheep mouse rabbit wolf
dogs cats horses birds lions foxes cows mice rabbits wolves
man woman boy girl child
men women boys girls children
father mother brother sister son daughter
doctor teacher lawyer nurse farmer student
doctors teachers lawyers nurses farmers students
John James David Peter Paul Thomas Robert
Mary Anna Maria Sarah Emma Alice Julia
France Spain Germany Italy Russia Japan China Poland Sweden Greece Turkey Brazil
Paris Madrid Berlin Rome London Moscow Vienna Tokyo Athens
French Spanish German Italian Russian Japanese Chinese English
Monday Tuesday Wednesday Thursday Friday Saturday Sunday
January February March April June July August September October November December
two three four five six seven eight nine ten twelve twenty hundred
first second third fourth last
plus minus
red green blue white black brown yellow grey
big small large little huge tiny
old young new
tired hungry angry happy sad sick
wide narrow long short high low deep
good bad great poor terrible
hot cold warm cool dry wet
true false
rich poor famous strong weak
taller shorter older younger smaller larger bigger stronger faster slower
river lake sea beach forest
street road bridge park field square
house school church hospital hotel castle
tree flower plant bush
table chair desk bed sofa
tables chairs desks beds
book letter story poem novel
books letters stories poems novels
boats ships trains cars planes
mat rug carpet floor chair
keys coins rings tools
bread meat cheese soup cake sandwich pizza
water milk wine beer coffee tea
apples pears plums cherries oranges grapes
money gold silver
film movie book song show
music story food
wood stone glass iron gold
walked ran jumped drove
sings dances sleeps swims
liked loved hated helped
love hate need want
loves hates needs wants
likes loves hates
chased followed watched caught
bought sold found lost
reading writing
walking running driving swimming
slowly quickly quietly loudly
always never often sometimes
was is
were are
has had
can could must should may
they we
he she
my your our their his
these those
before after
with without
"""
_BY_WORD = {}
for _line in KINDS.split("\n"):
    for _word in _line.split():
        _BY_WORD.setdefault(_word, []).extend(each for each in _line.split() if each != _word)


def words_of_its_kind(word):
    """Return words that a sentence can have in the place of another, in the order of a short list; none of most.

    Parameters
    ----------
    word : str

    Returns
    -------
    list of str
        Written as the word is: small or with a capital.

    Examples
    --------
    >>> words_of_its_kind("Dogs")[:2], words_of_its_kind("France")[0], words_of_its_kind("rained")
    (['Cats', 'Horses'], 'Spain', [])
    """
    written = _BY_WORD.get(word)
    if written is None and word.istitle():
        return [each.capitalize() for each in _BY_WORD.get(word.lower(), ())]
    return list(written or ())
