"""Names, phones and identity numbers for the demonstration; nobody's, but of the usual shape."""

from datetime import date, timedelta
from random import Random

SURNAMES = (
    "王李张刘陈杨黄赵吴周徐孙马朱胡郭何林罗高郑梁谢宋唐许韩邓冯曹彭曾肖田董潘袁蔡蒋余于杜叶程魏苏吕丁"
    "任卢姚沈钟姜崔谭陆范汪廖石金韦贾夏付方邹熊白孟秦邱侯江尹薛闫段雷龙黎史陶贺毛郝顾龚邵万覃武钱戴严莫孔"
)
GIVEN = (
    "伟芳娜敏静丽强磊军洋勇艳杰娟涛明超秀霞平刚桂英华玉兰红梅建国志文海燕春雪婷晓东宇轩子涵浩然欣怡"
    "思远佳琪博文雨桐梓萱俊熙嘉懿煜城立诚明轩健柏语嫣诗涵若曦一诺沐辰"
)
RARE = ("䶮", "喆", "瑨", "㛃", "犇", "堃", "翀", "昇")
COMPANIES = ("便利店", "药房", "面馆", "水果行", "理发店", "房产经纪", "洗衣店", "口腔门诊")
WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
CHECK_DIGITS = "10X98765432"
PREFIXES = ("138", "139", "136", "150", "158", "186", "188", "177", "199")


def person_name(chance: Random) -> str:
    """Return a name; one in two hundred has a rare character."""
    given = "".join(chance.choice(GIVEN) for _ in range(chance.choice((1, 2, 2))))
    if chance.random() < 0.005:
        given = chance.choice(RARE)
    return chance.choice(SURNAMES) + given


def phone(number: int) -> str:
    """Return a mobile number of eleven digits, a different one for each ``number``."""
    return f"{PREFIXES[number % len(PREFIXES)]}{(number * 7919 + 13) % 100_000_000:08}"


def identity_number(chance: Random, number: int) -> str:
    """Return an identity number with a right check digit, of a region that does not exist."""
    born = date(1940, 1, 1) + timedelta(days=chance.randrange(24_000))
    digits = f"990{100 + number % 800}{born:%Y%m%d}{number % 1000:03}"
    total = sum(int(d) * w for d, w in zip(digits, WEIGHTS, strict=True))
    return digits + CHECK_DIGITS[total % 11]
