"""Chinese characters of names: their forms, and how they are read."""

from typing import Final

#: One character in several forms, first the one that stands for all.
SAME: Final = """
张張 陈陳 刘劉 赵趙 孙孫 吴吳呉 马馬 黄黃 杨楊 罗羅 郑鄭 谢謝 韩韓 冯馮 于於 萧蕭肖 叶葉 苏蘇 卢盧 蒋蔣 贾賈 邓鄧
许許 阎閻 陆陸 钟鍾鐘 谭譚 邹鄒 龙龍竜 龚龔 汤湯 范範 顾顧 钱錢 严嚴厳 贺賀 赖賴 万萬 乔喬 颜顏顔 温溫 庄莊荘 聂聶
鲁魯 岳嶽 欧歐 涂塗 侯矦 齐齊斉斋齋斎 庞龐 关關関 伟偉 华華 国國 丽麗 军軍 强強彊 杰傑 兰蘭 凤鳳 东東 红紅 荣榮栄
贵貴 宝寶宝 义義 学學学 庆慶 丰豐豊 兴興 云雲 洁潔 静靜 莹瑩 颖穎 艳艷 鹏鵬 飞飛 宁寧 晓曉暁 梦夢 诗詩 紫紫 泽澤沢
浩浩 轩軒 俊俊 亚亞 维維 铭銘 锋鋒 钢鋼 鑫鑫 银銀 铁鐵鉄 长長 发發発 实實実 为為 业業 乐樂楽 书書 达達 远遠 运運
进進 连連 选選 适適 逸逸 顺順 须須 预預 领領 骏駿 骥驥 纯純 结結 绍紹 经經経 缘緣縁 编編 绮綺 绣繡 绿綠緑 纪紀 继繼継
续續 约約 级級 纲綱 纳納 练練 终終 织織 给給 绪緒 绘繪絵 统統 综綜 绵綿 缨纓 琼瓊 珑瓏 玛瑪 环環 现現 瑶瑤 璎瓔 爱愛
怀懷 怜憐 恺愷 惠恵 恒恆 悦悅 忆憶 应應応 广廣広 庐廬 库庫 开開 间間 闻聞 门門 问問 闽閩 师師 帅帥 带帶 帮幫 岛島嶋嶌
冈岡 崎﨑 嵘嶸 岭嶺 峡峽 滨濱浜 泷瀧滝 涩澁渋 渊淵 润潤 浅淺 济濟済 涛濤 汉漢 洒灑 湾灣 满滿 泪淚 渔漁 沈瀋 清清 黑黒
点點 龟龜亀 龄齡 辉輝 辰辰 边邊辺邉 贤賢 赞贊 贝貝 贞貞 财財 质質 贡貢 车車 轮輪 辅輔 转轉 轻輕軽 载載 针針 铃鈴
锦錦 镇鎮鎭 锐銳 钦欽 鉴鑒 铨銓 镜鏡 闲閒 阳陽 阴陰 陕陝 际際 随隨 难難 雾霧 韵韻 项項 题題 饶饒 饭飯 馆館 骆駱 验驗
骁驍 鸟鳥 鸣鳴 鸿鴻 鹤鶴 鸡鷄 鹰鷹 鱼魚 鲍鮑 麦麥 齿齒 泾涇 灵靈 灿燦 炜煒 烨燁 焕煥 热熱 烛燭 营營 犹猶 独獨 狮獅
画畫 异異 当當 畴疇 疗療 盖蓋 盘盤 监監 睿叡 确確 础礎 礼禮 祥祥 祯禎 禄祿 离離 种種 积積 称稱 稳穩 穷窮 窦竇 竞競
笔筆 简簡 篮籃 类類 粮糧 紧緊 圣聖 联聯 职職 聪聰聡 声聲 肃肅 胜勝 脑腦 腾騰 舰艦 艺藝 节節 芦蘆 苍蒼 荐薦 荫蔭 药藥
莲蓮 获獲 萨薩 蓝藍 蔷薔 虑慮 虽雖 虾蝦 蚁蟻 蝉蟬 补補 见見 规規 视視 观觀 觉覺 计計 订訂 认認 讨討 让讓 议議 记記
讲講 论論 设設 访訪 证證 评評 识識 词詞 译譯 试試 诚誠 话話 详詳 语語 误誤 说說 诺諾 谊誼 谋謀 谦謙 谨謹 谷穀 宾賓
宪憲 宫宮 实實 审審 宽寬 寿壽 导導 尔爾 尘塵 尝嘗 尧堯 层層 属屬 岁歲 岂豈 产產 亲親 仅僅 从從 仓倉 仪儀 们們 价價 众眾
优優 会會 传傳 伤傷 伦倫 侠俠 侨僑 俭儉 倩倩 债債 偿償 儿兒児 党黨 册冊 写寫 农農 冬冬 净淨 凉涼 减減 凯凱 击擊 则則
刚剛 创創 别別 剑劍 刘劉 力力 劝勸 办辦 务務 动動 励勵 劲勁 劳勞 势勢 勋勳 区區 医醫 千千 单單 卖賣 卫衛 厂廠 历歷 压壓
县縣 参參 双雙 变變 叙敘 台臺 号號 叹嘆 后後 吕呂 启啟 员員 咏詠 响響 哑啞 唤喚 团團 园園 围圍 图圖 圆圓 块塊 坚堅 坛壇
坝壩 垒壘 场場 坟墳 埙塤 处處 备備 复復 头頭 夸誇 夺奪 奋奮 奖獎 妆妝 妇婦 妈媽 姗姍 娄婁 娇嬌 娱娛 娴嫻 婴嬰 婵嬋
孙孫 宝寶 专專 丛叢 丝絲 两兩 严嚴 丧喪 个個 临臨 举舉 么麼 乌烏 习習 乡鄉 买買 乱亂 争爭 亏虧 产產 亿億 仑侖 传傳
峰峯 高髙 真眞 德徳 雄雄 樱櫻桜 桧檜 桥橋 树樹 桦樺 栋棟 栏欄 枫楓 杰傑 条條 来來 松鬆 板板 极極 构構 标標 样樣 档檔 梁樑
检檢 楼樓 横橫 欢歡 残殘 毕畢 毛毛 气氣 氢氫 战戰 户戶 扬揚 执執 扩擴 扫掃 报報 抚撫 护護 担擔 拥擁 择擇 挥揮 捞撈 据據
昼晝 显顯 时時 旷曠 昙曇 晋晉 晒曬 晖暉 暂暫 权權 杂雜 术術 机機 杀殺 曾曽 辻辻 斌彬
"""

#: Sounds in Pinyin, and characters of names that have them.
PINYIN: Final = """
ai 艾爱 an 安 ao 敖 ba 巴 bai 白柏百 ban 班 bang 邦 bao 包鲍保宝 bei 贝北 bi 毕碧 bian 卞边 bin 斌宾滨 bing 冰兵炳
bo 博波伯柏薄 bu 卜步 cai 蔡才彩财采 can 灿 cang 苍 cao 曹 cen 岑 chai 柴 chan 婵 chang 常昌畅长 chao 超潮朝 che 车
chen 陈晨辰臣沉 cheng 程成承诚城澄 chi 池迟 chong 冲崇 chu 楚初褚储 chuan 川传 chun 春纯淳椿 ci 慈 cong 聪丛从
cui 崔翠 da 达大 dai 戴代 dan 丹单旦 dang 党 dao 道 de 德 deng 邓登 di 迪狄帝 dian 典 ding 丁定 dong 东董冬栋 dou 窦
du 杜都 duan 段端 dun 敦 e 娥 en 恩 er 尔儿 fa 发法 fan 范凡樊帆繁 fang 方芳房放 fei 飞菲费斐 fen 芬 feng 冯丰凤峰锋风枫奉
fo 佛 fu 傅福富付符复夫甫 gai 盖 gan 甘干 gang 刚钢纲岗 gao 高 ge 葛戈歌格 gen 根 geng 耿庚 gong 龚宫公功弓贡
gu 顾古谷 guan 关管冠官观 guang 光广 gui 桂贵归 guo 郭国果 hai 海 han 韩汉寒涵翰含 hang 杭航 hao 郝浩豪昊好皓 he 何贺和河荷鹤赫
heng 恒衡 hong 洪红宏鸿虹弘 hou 侯厚 hu 胡虎湖 hua 华花化画 huai 怀淮 huan 欢环焕桓 huang 黄煌皇 hui 惠慧辉会晖卉 huo 霍
ji 季纪姬吉计冀基继济骥极积 jia 贾佳嘉家甲 jian 建健坚剑简鉴 jiang 江姜蒋疆 jiao 焦娇 jie 杰洁捷结介 jin 金晋锦进瑾劲津近今
jing 静敬晶京景经菁靖婧镜井 jiu 九久 ju 菊居巨 juan 娟 jue 觉 jun 军俊君钧骏均 kai 凯开恺楷 kang 康 ke 柯可克科珂 kong 孔
kuan 宽 kuang 邝旷 kui 奎葵 kun 坤昆 lai 赖来 lan 兰蓝岚澜 lang 郎朗 lao 劳 le 乐 lei 雷磊蕾 leng 冷 li 李黎丽力立利莉理礼历丽励
lian 连莲廉练 liang 梁良亮 liao 廖 lie 列 lin 林琳霖麟临 ling 凌玲灵龄铃岭令 liu 刘柳六 long 龙隆 lou 娄楼 lu 卢陆鲁路璐露芦禄
luan 栾 lun 伦 luo 罗骆洛 lv 吕绿律 lu 吕绿律 ma 马玛麻 mai 麦 man 满曼 mao 毛茅茂 mei 梅美媚玫 men 门 meng 孟蒙梦萌 mi 米 miao 苗妙 min 民敏闽闵
ming 明名铭鸣 mo 莫墨 mu 穆木牧慕 na 娜纳那 nan 南楠男 ni 倪妮 nian 年念 nie 聂 ning 宁凝 niu 牛 nong 农 nuo 诺 ou 欧 pan 潘盘
pang 庞 pei 裴培佩 peng 彭鹏朋 pi 皮 ping 平萍屏 pu 蒲普 qi 齐戚祁琪琦奇启其七淇 qian 钱谦倩千乾 qiang 强 qiao 乔巧桥 qin 秦琴钦勤沁
qing 庆青清晴卿 qiong 琼 qiu 邱秋丘 qu 曲屈瞿 quan 全权泉 que 阙 ran 冉然 rao 饶 ren 任仁人 rong 荣容蓉戎融 ru 汝如茹 ruan 阮
rui 瑞睿锐蕊 run 润 ruo 若 sa 萨 san 三 sen 森 sha 沙莎 shan 山单珊善姗 shang 尚商 shao 邵少绍 she 佘 shen 沈申深慎 sheng 生胜盛圣升声
shi 石史施师时世诗实士仕 shou 寿守 shu 舒书淑树舒 shuai 帅 shuang 双爽 shui 水 shun 顺舜 si 司思斯丝 song 宋松颂 su 苏素 sui 隋岁 sun 孙
suo 索 tai 台泰太 tan 谭谈檀 tang 唐汤棠 tao 陶涛桃 teng 滕腾 ti 提 tian 田天甜 tie 铁 ting 婷庭亭挺廷 tong 童佟彤同桐 tu 涂屠图 wan 万婉宛
wang 王汪旺望 wei 魏韦卫伟威维薇巍炜玮卫为 wen 文温雯闻问 weng 翁 wu 吴武伍五午 xi 席希熙喜习西锡曦溪 xia 夏霞侠 xian 贤先冼显宪仙鲜娴
xiang 向项香翔祥湘响 xiao 萧晓小笑霄孝潇骁 xie 谢解 xin 辛新欣鑫心信馨昕 xing 邢兴星行杏幸 xiong 熊雄 xiu 秀修绣 xu 徐许旭须续绪 xuan 宣轩萱璇玄
xue 薛雪学 xun 荀勋 ya 亚雅娅 yan 严颜阎燕艳岩妍言彦焰 yang 杨阳洋扬羊 yao 姚尧瑶耀 ye 叶业烨 yi 易伊怡义艺益毅逸一仪宜依亿颐谊奕忆
yin 尹殷银音 ying 应英莹颖盈樱营瑛 yong 勇永咏雍 you 尤游友优 yu 于余俞玉宇雨羽郁裕育煜语瑜渝钰禹愉 yuan 袁元远圆园媛缘渊苑源 yue 岳月悦越跃 yun 云运韵允
ze 泽 zeng 曾增 zha 查 zhai 翟 zhan 詹展占湛 zhang 张章彰 zhao 赵召照昭 zhe 哲喆 zhen 甄珍振真贞镇震 zheng 郑正政征铮 zhi 志智芝之直治质
zhong 钟仲忠中 zhou 周洲舟 zhu 朱祝竹珠诸柱 zhuang 庄壮 zhuo 卓 zi 子紫梓姿资 zong 宗 zou 邹 zu 祖 zuo 左佐作
yang 阳 ou 欧 si 司 ma 马 chong 种 jia 家 hao 豪 fu 馥 xin 忻 ting 听 ting 霆 wen 玟 qi 祺 rong 嵘 yi 亦 han 晗 hong 泓 xi 晰 tong 瞳
"""

#: Japanese family names, and how they are read.
JAPANESE_FAMILIES: Final = """
佐藤 sato 鈴木 suzuki 高橋 takahashi 田中 tanaka 伊藤 ito 渡辺 watanabe 渡部 watanabe/watabe 山本 yamamoto 中村 nakamura 小林 kobayashi
加藤 kato 吉田 yoshida 山田 yamada 佐々木 sasaki 山口 yamaguchi 松本 matsumoto 井上 inoue 木村 kimura 林 hayashi 斎藤 saito 清水 shimizu
山崎 yamazaki/yamasaki 森 mori 池田 ikeda 橋本 hashimoto 阿部 abe 石川 ishikawa 山下 yamashita 中島 nakajima/nakashima 石井 ishii 小川 ogawa 前田 maeda
岡田 okada 長谷川 hasegawa 藤田 fujita 後藤 goto 近藤 kondo 村上 murakami 遠藤 endo 青木 aoki 坂本 sakamoto 福田 fukuda 太田 ota 西村 nishimura
藤井 fujii 金子 kaneko 岡本 okamoto 藤原 fujiwara 三浦 miura 中野 nakano 中川 nakagawa 原田 harada 松田 matsuda 竹内 takeuchi 小野 ono 田村 tamura
中山 nakayama 和田 wada 石田 ishida 森田 morita 上田 ueda 原 hara 内田 uchida 柴田 shibata 酒井 sakai 宮崎 miyazaki 横山 yokoyama 高木 takagi
安藤 ando 宮本 miyamoto 大野 ono/oono 小島 kojima 谷口 taniguchi 工藤 kudo 今井 imai 高田 takada/takata 増田 masuda 丸山 maruyama 杉山 sugiyama 村田 murata
大塚 otsuka 新井 arai 藤本 fujimoto 小山 koyama/oyama 平野 hirano 河野 kono/kawano 上野 ueno 野口 noguchi 武田 takeda 松井 matsui 千葉 chiba 菅原 sugawara
岩崎 iwasaki 久保 kubo 木下 kinoshita 佐野 sano 野村 nomura 松尾 matsuo 菊地 kikuchi 菊池 kikuchi 杉本 sugimoto 市川 ichikawa 古川 furukawa 大西 onishi 島田 shimada
水野 mizuno 桜井 sakurai 高野 takano 渡邉 watanabe 吉川 yoshikawa 山内 yamauchi 西田 nishida 飯田 iida 小田 oda 西川 nishikawa 小松 komatsu 北村 kitamura
安田 yasuda 五十嵐 igarashi 川口 kawaguchi 平田 hirata 関 seki 中田 nakata/nakada 久保田 kubota 東 higashi/azuma 服部 hattori 川崎 kawasaki 岩田 iwata 土屋 tsuchiya
福島 fukushima 本田 honda 辻 tsuji 樋口 higuchi 秋山 akiyama 永井 nagai 田口 taguchi 山中 yamanaka 中西 nakanishi 吉村 yoshimura 川上 kawakami 石原 ishihara
大橋 ohashi 松岡 matsuoka 浜田 hamada 森本 morimoto 石塚 ishizuka 大島 oshima 黒田 kuroda 黒沢 kurosawa 宮沢 miyazawa 村山 murayama 北川 kitagawa 大谷 otani/ohtani
田辺 tanabe 川村 kawamura 河村 kawamura 藤川 fujikawa 小池 koike 浅野 asano 荒木 araki 大久保 okubo 野田 noda 熊谷 kumagai 片山 katayama 白石 shiraishi 上村 uemura
安倍 abe 岸田 kishida 菅 suga/kan 麻生 aso 石破 ishiba 鳩山 hatoyama 小泉 koizumi 本間 homma/honma 矢野 yano 栗原 kurihara 松下 matsushita 田島 tajima 三宅 miyake
西山 nishiyama 内藤 naito 広瀬 hirose 堀 hori 南 minami 柳 yanagi 星野 hoshino 岡崎 okazaki 須藤 sudo 奥村 okumura 尾崎 ozaki 桑原 kuwahara 望月 mochizuki 大森 omori
"""

#: Japanese given names, and how they are read.
JAPANESE_GIVEN: Final = """
健一 kenichi 健 ken/takeshi 健太 kenta 健太郎 kentaro 健二 kenji 賢治 kenji 龍太郎 ryutaro 龍 ryu 龍一 ryuichi 太郎 taro 次郎 jiro 二郎 jiro 三郎 saburo 一郎 ichiro
一 hajime 大輔 daisuke 大樹 daiki 大介 daisuke 大地 daichi 翔太 shota 翔 sho 拓也 takuya 拓海 takumi 直樹 naoki 直人 naoto 和也 kazuya 和夫 kazuo 一夫 kazuo 隆 takashi
誠 makoto 剛 takeshi/tsuyoshi 浩 hiroshi 博 hiroshi 弘 hiroshi 浩二 koji 浩一 koichi 光一 koichi 幸一 koichi 雄二 yuji 裕二 yuji 祐二 yuji 雄一 yuichi 裕一 yuichi 雄太 yuta 優太 yuta
悠太 yuta 悠斗 yuto 翼 tsubasa 亮 ryo 涼 ryo 亮太 ryota 修 osamu 治 osamu 進 susumu 茂 shigeru 実 minoru 稔 minoru 勝 masaru 正 tadashi 明 akira 晃 akira 彰 akira
昭 akira 昭夫 akio 秋夫 akio 明夫 akio 哲也 tetsuya 哲 satoshi/tetsu 聡 satoshi 智 satoshi 学 manabu 豊 yutaka 清 kiyoshi 正樹 masaki 正雄 masao 俊介 shunsuke 俊 shun 春樹 haruki 英樹 hideki
秀樹 hideki 英雄 hideo 秀夫 hideo 文雄 fumio 信一 shinichi 慎一 shinichi 真一 shinichi 晋三 shinzo 純一 junichi 純一郎 junichiro 淳 jun/atsushi 純 jun 敦 atsushi 圭介 keisuke 慶太 keita
花子 hanako 由美子 yumiko 由美 yumi 裕美 yumi/hiromi 久美子 kumiko 恭子 kyoko 京子 kyoko 恵子 keiko 慶子 keiko 敬子 keiko 圭子 keiko 幸子 sachiko/yukiko 雪子 yukiko 由紀子 yukiko 由紀 yuki
陽子 yoko 洋子 yoko 明子 akiko 秋子 akiko 和子 kazuko 一子 kazuko 智子 tomoko 友子 tomoko 朋子 tomoko 美智子 michiko 道子 michiko 直子 naoko 直美 naomi 尚子 naoko 真由美 mayumi 真理子 mariko
麻里子 mariko 裕子 yuko/hiroko 優子 yuko 祐子 yuko 弘子 hiroko 浩子 hiroko 順子 junko 純子 junko 良子 yoshiko/ryoko 涼子 ryoko 芳子 yoshiko 典子 noriko 紀子 noriko 典雄 norio 久子 hisako
千恵子 chieko 節子 setsuko 文子 fumiko 春子 haruko 夏子 natsuko 静子 shizuko 愛子 aiko 愛 ai 彩 aya 綾 aya 綾子 ayako 麻美 asami 美咲 misaki 葵 aoi 結衣 yui 陽菜 hina 美穂 miho 美香 mika
桜 sakura 遥 haruka 舞 mai 恵 megumi 瞳 hitomi 薫 kaoru 光 hikaru 忍 shinobu 香織 kaori 里美 satomi 早苗 sanae 絵美 emi 恵美 emi 恵美子 emiko 貴子 takako 孝子 takako 隆子 takako 礼子 reiko
玲子 reiko 律子 ritsuko 栄子 eiko 英子 eiko 悦子 etsuko 広子 hiroko 多恵子 taeko 百合子 yuriko 百合 yuri 有里 yuri 奈美 nami 奈々 nana 奈々子 nanako 美紀 miki 美樹 miki 文雄 fumio 宗一郎 soichiro
"""
