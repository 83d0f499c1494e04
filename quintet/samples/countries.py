"""The countries of the samples, in three spelling sets, from the busiest to the quietest."""

# ISO code, then the spelling of the site, of the registration form and of the geo-IP service; if empty, the site's
# spelling. The last country has broker rows but no conversions.
_TABLE = """
US|United States||United States of America
GB|United Kingdom||United Kingdom of Great Britain and Northern Ireland
DE|Germany
IN|India
NL|Netherlands
CA|Canada
FR|France
ES|Spain
PL|Poland
BE|Belgium
AU|Australia
IT|Italy
ZA|South Africa
TR|Turkey
PT|Portugal
SG|Singapore
PH|Philippines
PK|Pakistan
AE|United Arab Emirates
MY|Malaysia
DZ|Algeria
HU|Hungary
CZ|Czech Republic||Czechia
CH|Switzerland
GH|Ghana
GR|Greece
ID|Indonesia
RO|Romania
MA|Morocco
JP|Japan
MX|Mexico
BD|Bangladesh
BR|Brazil
IE|Ireland
SE|Sweden
SA|Saudi Arabia
RS|Serbia
AT|Austria
IL|Israel
VE|Venezuela||Venezuela (Bolivarian Republic of)
CO|Colombia
KE|Kenya
LT|Lithuania
TH|Thailand
EG|Egypt
NG|Nigeria
DK|Denmark
AR|Argentina
BG|Bulgaria
NO|Norway
FI|Finland
CL|Chile
PE|Peru
VN|Vietnam|Viet Nam|Viet Nam
HR|Croatia
NZ|New Zealand
SK|Slovakia
UA|Ukraine
TW|Taiwan|Taiwan (Republic of China)|Taiwan (Province of China)
HK|Hong Kong|Hong Kong Special Administrative Region of China
CY|Cyprus
LV|Latvia
EE|Estonia
SI|Slovenia
TN|Tunisia
IR|Iran||Iran (Islamic Republic of)
LK|Sri Lanka
EC|Ecuador
KW|Kuwait
QA|Qatar
JO|Jordan
LB|Lebanon
MT|Malta
LU|Luxembourg
GE|Georgia
AM|Armenia
AZ|Azerbaijan
KZ|Kazakhstan
UZ|Uzbekistan
BY|Belarus
MD|Moldova|Republic of Moldova|Moldova (Republic of)
RU|Russia|Russian Federation|Russian Federation
CN|China
KR|South Korea|Republic of Korea|Korea (Republic of)
NP|Nepal
MM|Myanmar (Burma)||Myanmar
KH|Cambodia
LA|Laos|Lao People`s Democratic Republic|Lao People's Democratic Republic
DO|Dominican Republic
CR|Costa Rica
PA|Panama
GT|Guatemala
SV|El Salvador
HN|Honduras
NI|Nicaragua
BO|Bolivia||Bolivia (Plurinational State of)
PY|Paraguay
UY|Uruguay
TT|Trinidad & Tobago|Trinidad and Tobago|Trinidad and Tobago
JM|Jamaica
PR|Puerto Rico
BS|Bahamas
BB|Barbados
PS|West Bank|Occupied Palestinian Territory|Palestine
CU|Cuba
HT|Haiti
TZ|Tanzania|United Republic of Tanzania
UG|Uganda
ZM|Zambia
ZW|Zimbabwe
BW|Botswana
NA|Namibia
MZ|Mozambique
AO|Angola
CM|Cameroon
SN|Senegal
CI|Côte d’Ivoire|Cote d'Ivoire|Cote D'ivoire
BJ|Benin
TG|Togo
BF|Burkina Faso
ML|Mali
NE|Niger
RW|Rwanda
ET|Ethiopia
SO|Somalia
SD|Sudan
LY|Libya
MU|Mauritius
MG|Madagascar
MW|Malawi
CD|Democratic Republic of the Congo|Congo - Kinshasa|Congo (Democratic Republic of the)
CG|Republic of the Congo|Congo - Brazzaville|Congo
GA|Gabon
GM|Gambia
GN|Guinea
SL|Sierra Leone
LR|Liberia
MR|Mauritania
IQ|Iraq
YE|Yemen
OM|Oman
BH|Bahrain
AF|Afghanistan
MN|Mongolia
AL|Albania
MK|Macedonia|North Macedonia|North Macedonia
BA|Bosnia & Herzegovina|Bosnia and Herzegovina|Bosnia and Herzegovina
IS|Iceland
LI|Liechtenstein
MC|Monaco
AD|Andorra
GI|Gibraltar
XK|Kosovo
FJ|Fiji
PG|Papua New Guinea
MV|Maldives
BN|Brunei|Brunei Darussalam|Brunei Darussalam
TL|Timor-Leste|East Timor
BT|Bhutan
BM|Bermuda
KY|Cayman Islands
AG|Antigua & Barbuda|Antigua and Barbuda|Antigua and Barbuda
LC|St. Lucia|Saint Lucia|Saint Lucia
VC|St. Vincent & Grenadines|Saint Vincent and the Grenadines|Saint Vincent and The Grenadines
GD|Grenada
DM|Dominica
KN|St. Kitts & Nevis|Saint Kitts and Nevis|Saint Kitts and Nevis
AI|Anguilla
MS|Montserrat
VG|British Virgin Islands||Virgin Islands (British)
VI|U.S. Virgin Islands||Virgin Islands (U.S.)
TC|Turks & Caicos Islands|Turks and Caicos Islands|Turks and Caicos Islands
AW|Aruba
CW|Curaçao|Curacao|Curacao
SX|Sint Maarten||Sint Maarten (Dutch Part)
BQ|Caribbean Netherlands|Bonaire|Sint Eustatius and Saba
GP|Guadeloupe
MQ|Martinique
GF|French Guiana
RE|Reunion|Réunion|Réunion
YT|Mayotte
NC|New Caledonia
PF|French Polynesia
GU|Guam
AS|American Samoa
MP|Northern Mariana Islands
PW|Palau
FM|Micronesia, Fed. St.|Micronesia|Micronesia (Federated States of)
MH|Marshall Islands
SB|Solomon Islands
VU|Vanuatu
WS|Samoa
TO|Tonga
KI|Kiribati
TV|Tuvalu
NR|Nauru
CK|Cook Islands
JE|Jersey
GG|Guernsey
IM|Isle of Man
FO|Faroe Islands
GL|Greenland
AX|Åland Islands||Aland Islands
SM|San Marino
VA|Vatican City||Holy See (Vatican City State)
SZ|Swaziland|Eswatini|Eswatini
LS|Lesotho
DJ|Djibouti
ER|Eritrea
SS|South Sudan
TD|Chad
CF|Central African Republic
CV|Cape Verde||Cabo Verde
KM|Comoros
ME|Montenegro
"""

_ROWS = [[*line.split("|"), "", ""] for line in _TABLE.strip().splitlines()]

ISO2 = tuple(row[0] for row in _ROWS)
"""ISO 3166 alpha-2 codes, XK for Kosovo."""

SPELLINGS = {
    "site": tuple(row[1] for row in _ROWS),
    "residency": tuple(row[2] or row[1] for row in _ROWS),
    "ip": tuple(row[3] or row[1] for row in _ROWS),
}
"""By spelling set, the name of each country in the order of `ISO2`."""
