"""Word lists of the synthetic product titles. Brands and sellers are invented."""

from typing import NamedTuple

from sampling.common import listed


class Category(NamedTuple):
    """How many titles, and what they are made of."""

    titles: int
    heads: tuple[str, ...]
    features: tuple[str, ...]
    sizes: tuple[str, ...]


# Counts add up to 1,000. Lamps of the two kinds share most of their words.
CATEGORIES = {
    "CELLPHONE_COVERS": Category(
        150,
        listed("Funda | Funda Silicona | Case | Protector | Funda Flip | Carcasa"),
        listed(
            "Celular | Antigolpes | Transparente | Con Glitter | Silicona | Tapa Magnética | Con Anillo | "
            "Borde Reforzado | Símil Cuero | Cámara Cubierta | Estampada | Rígida | + Vidrio Templado | "
            "Portatarjeta | Mate"
        ),
        listed("Z4 | K9 Plus | M12 Pro | 6.1 Pulgadas | Max 2019 | Lite 5 | X7"),
    ),
    "SNEAKERS": Category(
        130,
        listed("Zapatillas | Zapatilla | Zapas | Zapatillas Running | Zapatillas Urbanas"),
        listed(
            "Mujer | Hombre | Niños | De Lona | Cuero | Con Abrojo | Plataforma | Livianas | Suela Goma | "
            "Deportivas | Caña Alta | Trail | Cordones | Transpirables | Entrenamiento"
        ),
        listed("Talle 38 | Talle 42 | 35 Al 40 | N° 41 | Nro 27 Al 34"),
    ),
    "THERMOSES": Category(
        120,
        listed("Termo | Termo Acero | Termo Bala | Botella Térmica | Vaso Térmico"),
        listed(
            "Acero Inoxidable | Pico Cebador | Tapón Matero | Doble Pared | Con Manija | Media Manija | "
            "Mate | Frío Calor | Irrompible | Con Funda | Agua Caliente | 24 Hs | Camping | Rosca | Café"
        ),
        listed("1 Litro | 500ml | 750 Ml | 1,2 L | 950cc"),
    ),
    "TABLE_LAMPS": Category(
        110,
        listed("Velador | Lámpara | Lámpara De Mesa | Lámpara Escritorio | Lámpara Velador"),
        listed(
            "Led | Madera | Nórdica | Vintage | Pantalla Lino | Luz Cálida | Luz Fría | Flexible | Táctil "
            "| Usb | Brazo | Mesa De Luz | Dormitorio | Base Cerámica | Hierro | Regulable"
        ),
        listed("E27 | 12w | 5w | 40cm | 220v"),
    ),
    "CEILING_LAMPS": Category(
        100,
        listed("Colgante | Lámpara | Lámpara Techo | Lámpara Colgante | Plafón"),
        listed(
            "Led | Madera | Nórdica | Vintage | Pantalla Lino | Luz Cálida | Luz Fría | Cocina | Living | "
            "Galponera | Vidrio | 3 Luces | Dormitorio | Campana | Hierro | Regulable"
        ),
        listed("E27 | 18w | 24w | 40cm | 220v"),
    ),
    "BACKPACKS": Category(
        90,
        listed("Mochila | Mochila Escolar | Mochila Urbana | Mochila Notebook"),
        listed(
            "Impermeable | Porta Notebook | Con Ruedas | Antirrobo | Bolsillos | Viaje | Hombre | Mujer | "
            "Jardín | Estampada | Camping | Cierre Reforzado | Carga Usb | Lona | Espalda Acolchada"
        ),
        listed("15.6 Pulgadas | 30 Lts | 45 Litros | 17'' | 20l"),
    ),
    "BICYCLES": Category(
        80,
        listed("Bicicleta | Bici | Bicicleta Mountain Bike | Bicicleta Playera | Bicicleta Plegable"),
        listed(
            "Cuadro Aluminio | Frenos A Disco | Cambios | Suspensión | Dama | Hombre | Canasto | Con "
            "Rueditas | Niños | Doble Llanta | Horquilla | Asiento Gel | Paseo | Vintage | Portaequipaje"
        ),
        listed("Rodado 29 | Rod 26 | R20 | 21 Vel | Talle M | Rodado 16"),
    ),
    "COFFEE_MAKERS": Category(
        60,
        listed("Cafetera | Cafetera Express | Cafetera Italiana | Cafetera Eléctrica | Prensa Francesa"),
        listed(
            "Cápsulas | Filtro Permanente | Espumador De Leche | 15 Bares | Jarra Vidrio | Acero "
            "Inoxidable | Automática | Molido | Tazas | Aluminio | Café | Programable | Antigoteo"
        ),
        listed("6 Pocillos | 1,2 L | 800w | 12 Tazas | 220v"),
    ),
    "DOG_BEDS": Category(
        50,
        listed("Cama Perro | Cucha | Colchoneta Mascotas | Moisés Perro | Cama Gato"),
        listed(
            "Lavable | Corderito | Antidesgarro | Raza Grande | Perro | Gato | Impermeable | Acolchada | "
            "Con Funda | Mediana | Mascotas | Redonda | Antialérgica"
        ),
        listed("60x80 | N° 3 | 90 X 60 Cm | Talle L | 50cm"),
    ),
    "ACOUSTIC_GUITARS": Category(
        45,
        listed("Guitarra | Guitarra Criolla | Guitarra Acústica | Guitarra Clásica"),
        listed(
            "Con Funda | Estudio | Cuerdas Nylon | Tapa Abeto | Niños | Concierto | Corte | Ecualizador | "
            "Zurdos | Afinador | Caoba | Mástil Cedro | + Púas"
        ),
        listed("4/4 | 3/4 | M5 | Mod 20 | C40"),
    ),
    "CAR_TIRES": Category(
        35,
        listed("Neumático | Cubierta | Neumáticos | Cubierta Auto"),
        listed(
            "Colocación | Balanceo | Camioneta | Auto | Radial | Sin Cámara | Nueva | Todo Terreno | "
            "Válvula | + Alineación"
        ),
        listed("175/65 R14 | 185 60 15 | 205/55r16 | 195/65 R15 91h | 165 70 R13"),
    ),
    "BED_SHEETS": Category(
        30,
        listed("Sábanas | Juego De Sábanas | Sábana Ajustable | Sábanas Percal"),
        listed(
            "Algodón | Hilos | Queen | King | Estampada | Lisas | Bajera | Fundas | Microfibra | Hotelera "
            "| Suaves | Antialérgica | Elastizada"
        ),
        listed("2 1/2 Plazas | 180 Hilos | 144h | 1 1/2 Pl | 2 Plazas"),
    ),
}

COLOURS = listed(
    "Negro | Negra | Rojo | Roja | Azul | Gris | Blanco | Blanca | Verde | Rosa | Bordó | Celeste | Violeta"
)
TAILS = listed(
    "Envío Gratis | Oferta! | Cuotas | Original | 12 Cuotas | Local | Garantía | Nuevo Modelo | Promo | "
    "Premium | Importado | Fábrica | Por Mayor | Envíos | El Mejor Precio!! | 2019 | Super Resistente | "
    "Regalo | X2 | C/u"
)
BRANDS = listed(
    "Zentorix | Kipurá | Broldani | Lumkett | Tavrix | Oskandia | Pelmuro | Yurbex | Quillmor | Drevano | "
    "Nubelar | Farquell | Mirtuna | Sorvick | Chaltur | Andoreva | Vexlop | Rigoberta | Humaitex | "
    "Jalvard"
)
SELLERS = listed("- Tienda Bulpo | Casa Terrix | - Lomadora | (ñandú Hogar) | / Grupo Ovelar | * Mundo Criquet *")
STOP_WORDS = listed(
    "de | la | que | el | en | y | a | los | del | se | las | por | un | para | con | no | una | su | al "
    "| lo | como | más | pero | sus | le | ya | o | este | sí | porque | esta | entre | cuando | muy | "
    "sin | sobre | también | me | hasta | hay | donde | quien | desde | todo | nos | durante | todos | "
    "uno"
)
