"""Words of names: titles, particles, spellings of one name, nicknames, and Korean family names.

Collected by hand from common knowledge of names. How such tables are used follows the "name
symbols" of OpenSanctions (rigour): a word stands for a name, and names are compared by what
their words stand for.
"""

from __future__ import annotations

from typing import Final

TITLES: Final = frozenset(
    """
    mr mrs ms miss mx mister madam madame mme mlle monsieur dr doctor doktor doc prof professor sir
    dame baroness countess duchess princess queen emperor rev reverend fr father pastor archbishop
    cardinal rabbi imam sheikh shaikh shaykh sheik hajji haji hajj mullah ayatollah maulana pandit
    swami shri smt hon honorable honourable president sen gov governor minister ambassador capt
    captain cpt maj col colonel gen lt lieutenant sgt sergeant cpl admiral commander cdr herr frau
    fraulein dona senor senora senorita sr sra srta signor signora sig dott dottore dipl jr junior
    senior ii iii iv esq esquire md phd mba bsc msc dds jd obe mbe cbe kbe qc hrh bayan hanim
    efendi ustad ustadh datuk dato drs sama sensei kyrios kyria madre padre frere soeur mgr msgr
    """.split()
)

#: Titles that are also words of names: they count as titles in front of two other words.
LEADING_TITLES: Final = frozenset(
    "pan pani fra bay dom king lord duke count prince baron bishop pope abbe mayor judge "
    "justice major general lady sister brother senator ing mag lic sri chief st".split()
)

PARTICLES: Final = frozenset(
    """
    de del della dello degli dei da das do dos di du des d la le las los lo van von vom zu zur
    zum der dem ter ten te het af av bin ibn ben bint binti bent al el ul ud ad ash az ez
    as abu of the und and
    """.split()
)

#: Particles that are also given names.
GIVEN_NAMES_TOO: Final = frozenset({"al", "ben", "bin", "van"})

#: Articles that Arabic names carry with a hyphen.
ARTICLES: Final = r"\b(?:al|el|ul|ad|an|ar|as|at|az|ash|adh|ath|ed|en|er|es|ez|et)-(?=\w)"

#: Particles that are sometimes written together with the name behind them.
JOINED: Final = (
    "vander vanden vonder vande van von della dela del des dos das de di da al el".split()
)

#: Each line is one name in several spellings or languages; all of a line stand for each other.
SPELLINGS: Final = """
alexander aleksandr alexandr aleksander alexandre oleksandr alessandro alejandro aleksandar alexandros
alexandra aleksandra alessandra alejandra oleksandra
alexei aleksei alexey aleksey alexej
alan allan allen alain
andrew andrei andrey andrej andre andreas andrzej andres andriy ondrej andras
anna hannah hanna ana
anthony antony anton antonio antoine antonin
bartholomew bartolome bartolomeo
benjamin binyamin benyamin
brian bryan
catherine katherine kathryn catharine katharine katarzyna caterina catalina katharina ekaterina yekaterina ekaterini
christian kristian cristian
christina kristina cristina christine kristine
christopher kristopher christoph christophe cristobal kristoffer
claire clare clara klara
david davide dawid davit daud dawud
deborah debra debora
dmitry dmitri dimitri dmitriy dmitrij dimitry dmytro dimitrios
elizabeth elisabeth elisabetta elizaveta elzbieta
emily emilie
eric erik erick
eugene evgeny evgeni yevgeny evgeniy yevgeni evgenii
fatima fatma fatemeh fatimah
fedor fyodor feodor theodore theodor teodor
francis francisco francesco franz franciszek frantisek francois
frederick frederic friedrich fredrick frederik fridrich federico fryderyk fredrich
gabriel gavriel
geoffrey jeffrey jeffery
george georg georgios jorge giorgio georges georgi georgy jerzy
gregory grigory grigori grigoriy grigorii gregor grzegorz gregorio
helen helene elena helena yelena olena eleni
henry henri heinrich enrico enrique henryk
ibrahim ebrahim
abraham avraham avram
ignatius ignacio ignacy
irene irena irina
isaac yitzhak itzhak isak yitzchak
jacob jakob yaakov yaacov yakov iakov jakub
james jaime
john johann johannes juan ivan giovanni joao jon johan yohanan ioannis giannis yannis yiannis
joanna johanna giovanna
joseph josef giuseppe jose yosef yossef jozef yusuf youssef yousef yousuf iosif
judith yehudit judit
julia yulia giulia iulia yuliya
julian julien giuliano
catalin katalin
laurence lawrence lorenzo laurent lorenz
leo lev
louis luis luigi ludwig lewis
luke lucas lukas luca lukasz
magdalene magdalena madeleine
margaret margarita marguerite margarete malgorzata margherita margit
mark marc marek
marcus markus
marco marko
martha marta
mary maria marie mariya marija
mariam maryam meryem
miriam myriam
matthew mateo matteo matthias mathieu matthieu matej mateusz matvei
michael mikhail michel miguel michal mihail mykhailo mihai michele
michelle michele
mohammed muhammad mohamed mohammad muhammed mohamad muhamad mehmed mehmet mahomet
mustafa mostafa moustafa
neil neal niall
nicholas nicolas nikolai nikolay nikolaus nikolaos nicola mykola mikolaj nicolae
paul pablo paolo pavel pawel paulo pavlo pavlos
peter pedro pierre piotr pietro pyotr petr petar petro petros
philip phillip philippe felipe filippo filip philipp
rachel rahel raquel rachael
raphael rafael raffaele rafal
rebecca rivka rebekah rivkah
robert roberto rupert
samuel shmuel
sara sarah
sean shawn shaun
sergei sergey sergio serge serhiy serhii sergiy sergi
simon shimon simeon
solomon shlomo salomon suleiman sulaiman suleyman
sophia sofia sophie zofia sofiya sofie
stephen steven stefan stephan etienne esteban stefano stepan stephane szczepan istvan
susan susanne suzanne susanna zuzanna zsuzsanna
teresa theresa therese tereza
thomas tomas tommaso tomasz
timothy timofei timoteo
vasily vasili vasiliy basil vasyl vasilios
victor viktor vittorio
victoria viktoria vittoria
vincent vincenzo vicente
vladimir volodymyr wladimir
william wilhelm guillermo guglielmo guillaume willem
xenia ksenia kseniya oksana
yuri yury iurii juri yuriy yurii jurij
zachary zachariah zacharias
agarwal agrawal aggarwal agarwala
chaudhary chowdhury choudhury chaudhry chaudhuri choudhary
banerjee bandyopadhyay
mukherjee mukhopadhyay
chatterjee chattopadhyay
lakshmi laxmi lakshmy
singh sing sinha
hussein hussain husain husayn hossein hussien
hassan hasan
ahmed ahmad ahmet
chen chan tan chern
wang wong ong
liu lau low liew
zhang cheung teo teoh chang
li lee lei
wu ng goh
huang wong ng ooi wee
lin lam lim
zhou chow chou jhou
yang yeung yeo young
zeng tsang chan
guo kwok kuo quek
xie tse hsieh chia
xu hsu tsui hui koh
liang leung neo
he ho hor
zheng cheng cheang tay
mcdonald macdonald
""".strip().splitlines()

#: A name, and the nicknames that people with this name go by. Only the first word of a line links
#: to the others: Pat is Patrick or Patricia, and these two are two names.
NICKNAMES: Final = """
abigail abby abbie gail
abraham abe bram
adalbert bela
agnieszka aga agnes
albert al bert bertie
alberto beto berto
aleksandra ola sasha
alexander alex al sandy sasha lex xander alec alek
alexandra alex sandra sasha lexi sandy ale
alexandre alex xande
alexei alyosha lyosha alex
alejandro alex ale jano
alfred al fred alfie
amanda mandy
anastasia nastya stacy asya nastia
andreas andi
andrew andy drew
andrzej jedrek
angela angie
ann anne annie nan nancy
anne ann annie
claire clare
neil neal
anna anya ania anka annie anni anita nyura
anthony tony ant
antonio tony tonio tono toni nino
anton toni tosha
arkady arkasha
arthur art artie
barbara barb babs basia bobbie barbie
bartholomew bart
bartosz bartek
beatrice bea bee trixie
benedict ben
benjamin ben benny benji bibi
bernard bernie
bogdan bohdan
boleslaw bolek
boris borya
bridget bridie biddy
caroline carrie carol caro lina
catherine cathy kate cat katie kitty cath kat
katherine kathy kate kat katie kitty kath kay
carlos charlie carlitos
charles charlie chuck chas chip
charlotte charlie lottie lotte
christina chris tina chrissie kris
christian chris
christine chris chrissie tina
christopher chris kit topher
clifford cliff
concepcion concha conchita
consuelo chelo
cynthia cindy
czeslaw czesiek
daniel dan danny dani
david dave davey davy
deborah deb debbie debby
dennis denny den
dietrich dieter
dmitry dima mitya
dolores lola
dominik domi nick
donald don donny donnie
dorothy dot dottie dolly dora
douglas doug
edgar ed
edmund ed eddie ted
edward ed eddie ted teddy ned
eduardo edu lalo
edwin ed eddie
eleanor ellie nell nora lenny
elena lena lenka alyona lenochka
elias eli
elizabeth liz beth betty lizzie eliza bess betsy libby lisa liza elsie ellie lizzy
elisabeth lisa liesl lisbeth sissi elli
emily em emmy
emmanuel manny manu
enrique quique kike
ernest ernie
esther essie
eugene gene
evgeny zhenya
ekaterina katya katia
katarzyna kasia kaska
felicity fliss
ferdinand ferdi nando
fernando nando fer
florence flo flossie
frances fran frankie fanny
francesco franco ciccio checco
francis frank frankie fran
francisco paco pancho curro kiko frank
franklin frank
franz franzl
frederick fred freddie freddy rick fritz
friedrich fritz fred
gabriel gabe gaby
gabriella gabi gaby ella
gennady gena
gerald gerry jerry
gerard gerry
gerhard gerd
gertrude trudy gert
giovanni gianni nino vanni
giuseppe peppe beppe pino peppino
gilbert gil bert
giuliana giulia
gregory greg gregg
grigory grisha
gunther gunter
guadalupe lupe lupita
guillermo memo guille
hans hansi
harold harry hal
harriet hattie harry
heinrich heinz heini henk
helen nell nellie lena ellie
henry harry hank hal
hendrik henk rik
hubert bert
ignacio nacho
ilya ilyusha
irina ira irisha
isabel isa bel chabela bella
isabella bella izzy isa
isidore izzy
ivan vanya ivo
yitzhak itzik izzy
jacob jake jack jay coby
jacqueline jackie
james jim jimmy jamie jem
jan janek jasiek
jane janie jenny
janet jan
janos jancsi
jaroslav jarda
jean jeannie
jeffrey jeff
jennifer jen jenny jenni
jeremiah jerry
jeremy jerry jem
jessica jess jessie
jerzy jurek
jesus chuy chucho
joanna asia jo joasia
joan joanie
joao joaozinho
joaquin quino
johannes hans hannes jo johan jan
johann hans hansi
john jack johnny jon jock
jonathan jon jonny nathan
jose pepe chepe
josef sepp pepa beppo josi
joseph joe joey jo sepp
josephine jo josie fifi
joshua josh
juan juancho juanito
judith judy judi
julian jules
julia julie
karl kalle
kenneth ken kenny
kimberly kim
konstantin kostya
konstantinos kostas costas dinos
krzysztof krzysiek
lawrence larry laurie lars
laszlo laci
leonard len lenny leo
leonid lyonya
leopold poldi leo
lidia lida
lillian lily lil
louis lou louie
louise lou lulu
ludwig lutz
luis lucho
lyubov lyuba
lyudmila lyuda mila
magdalena lena magda malena
malgorzata gosia
manuel manolo manu manny
marcus marc
margaret maggie meg peggy marge margie daisy greta madge peg meggie
margarita rita margo
margarethe grete gretel
maria masha marusia mia mimi marita
martha marty mattie
martin marty
mary molly polly mamie may
matilda tilly tilda
matthew matt matty
matthias matze hias
maximilian max
melissa mel lissa missy
michael mike mick mickey micky mikey
michal michalek
michelle shelly
miguel migue
mikhail misha
mildred millie
mohammed mo hamo
mordechai motti
moses moishe moe
moshe moishe
natalia natasha nata talia
nathan nate nat
nathaniel nate nat nathan
nicholas nick nicky nico
nicolas nico
nikolai kolya
nikolaos nikos
nikolaus klaus claus niko
norman norm
oliver ollie
olga olya
oscar ozzie
oswald oz ozzie
pamela pam
patricia pat patty patsy tricia trish
patrick pat paddy rick
paul paulie
pavel pasha
pedro perico
penelope penny
peter pete
philip phil pip
pilar pili
piotr piotrek
pyotr petya
rafael rafa
rachel rae shelley
ralph ralphie
ramon moncho
raymond ray
rebecca becky becca
reginald reg reggie
ricardo rick richie
richard dick rick ricky rich richie
robert bob bobby rob robbie bert robby
roberto beto
roderick rod
rodney rod
roger rodge
roland rolly
roman roma
ronald ron ronnie ronny
rosario charo
rosalind roz
rosemary rosie
rudolf rudi rolf
rudolph rudy
russell russ
salvador chava
salvatore toto turi salvo
samantha sam sammy
samuel sam sammy
sandra sandy
santiago santi
sara sally sadie
sarah sally sadie
sebastian seb bastian basti
sergei seryozha
sergio checo
shirley shirl
shlomo shlomi
sidney sid
simon sy si
sophia sophie
sofia sonya sonia
solomon sol
spyridon spyros
stanislav stas
stanislaw stas staszek
stanley stan
stefan stevo
stephanie steph steffi
stephen steve stevie steph
steven steve stevie
stuart stu
susan sue susie suzy
svetlana sveta
sylvester sly
tatiana tanya
teresa terry tess tessa tere
thaddeus tad ted
theodore ted teddy theo
theresa terry tess tessa
thomas tom tommy
timothy tim timmy
tobias tobi
tomasz tomek
tomas tom
ursula uschi ulla
valentin valya
valery valera
vasily vasya
veronica ronnie vero
victor vic
victoria vicky tori
viktor vitya
viktoria vika
vincent vince vinnie vin
vincenzo enzo
virginia ginny
vladimir vova volodya vlad
vyacheslav slava
waldemar waldi
walter walt wally
wilhelm willi willy
william bill billy will willy liam
winston win winnie
wojciech wojtek
xavier xavi javi
javier javi
yaakov kobi yankel
yehuda yudi
yosef yossi
yuri yura
zachary zach zack
zbigniew zbyszek
zofia zosia
zoltan zoli
zsuzsanna zsuzsa zsuzsi
istvan pisti
katalin kati
erzsebet bozsi
ferenc feri
gyorgy gyuri
jozsef jozsi joska
sandor sanyi
georgios yorgos giorgos
dimitrios dimitris mitsos
ioannis giannis yannis
athanasios thanasis
panagiotis panos takis
charalampos babis haris
""".strip().splitlines()

#: Given names of Arabic, by which a Latin spelling is known to be Arabic.
ARABIC: Final = frozenset(
    """
    abd abdul abdel abdallah abdullah abu adel adil ahmad ahmed aisha aziz ali alaa amin amina amir
    amira anwar ashraf ayman bashar bashir bilal dina fahd faisal farid farida faruk fatima fatma
    fawzi ghassan habib hadi hakim hala hamad hamid hamza hana hani hanan hasan hassan hatem haytham
    hisham hussein hussain huda ibrahim idris imad iman ismail issam jaber jalal jamal jamil kamal
    karim kareem khadija khaled khalid khalil laila layla leila majid mahmoud mahmud malik mansour
    marwan maryam mariam mohamad mohamed mohammad mohammed muhammad mona mounir mousa musa mustafa
    mostafa nabil nadia nasser nasir nour noor omar umar osama othman qasim rachid rashid rania
    reem rida saad sabah saddam saeed said saleh salah salim salem salma sami samir samira sayed
    sayyid shadi sherif sharif suleiman tahir talal tamer tarek tariq wael walid waleed yahya
    yasir yasser yasin yasmin yousef youssef yusuf yusef zaid zayd zainab zaynab zeinab zakaria
    ziad ziyad
    """.split()
)

#: Korean family names: each line is one in Latin spellings, the Revised Romanisation first.
KOREAN: Final = """
gim kim
i lee yi rhee li ri yee
bak park pak
choe choi
jeong jung chung cheong jong
gang kang
jo cho joe
yun yoon
jang chang
im lim rim yim
han hahn
o oh
seo suh so
sin shin
gwon kwon
hwang whang
an ahn
song
yu yoo ryu you
hong
jeon jun chun chon
go ko koh
mun moon
yang
son sohn
bae pae
baek paek baik paik
heo hur huh ho
nam
sim shim
no noh roh ro
ha hah
gwak kwak
seong sung
cha
ju joo chu
u woo
gu koo ku
min
na ra nah rha
jin chin
ji chi jee
eom um uhm
chae
won
bang pang
gong kong
byeon byun
yeo yuh
seok suk
seon sun
seol sul
ma
gil kil
wi wee
pyo
myeong myung
gi ki kee
ban bahn
wang
geum keum
ok
yuk yook
in
maeng
je
mo
tak
guk kook
namgung namkung
hwangbo
seonu sunwoo
dokgo dokko
""".strip().splitlines()
