"""The restaurants of a new store: one closed, one with a dish sold out, in several scripts."""

from __future__ import annotations

from sqlalchemy import Connection

from ordering.model import NewMenuItem, NewRestaurant
from ordering.restaurants import add_menu_item, add_restaurant

SEED: tuple[tuple[NewRestaurant, tuple[NewMenuItem, ...]], ...] = (
    (
        NewRestaurant(
            name="The Extraordinarily Patient Slow-Smoked Barbecue & Sourdough Pizza Company "
            "of Lower Thornbury-on-the-Marsh",
            cuisine="Barbecue",
            address="14 Mill Lane, Lower Thornbury",
        ),
        (
            NewMenuItem("Brisket, smoked for fourteen hours", 1850, "Mains", "With pickles."),
            NewMenuItem("Pizza Margherita", 1150, "Mains", "Tomato, mozzarella, basil."),
            NewMenuItem("Burnt-end beans", 450, "Sides"),
            NewMenuItem("Lemonade", 320, "Drinks", "Made this morning."),
        ),
    ),
    (
        NewRestaurant(name="すし処 さくら", cuisine="寿司", address="東京都台東区浅草2-3-1"),
        (
            NewMenuItem("特上にぎり十貫", 3200, "にぎり", "本まぐろ、うに、いくら。"),
            NewMenuItem("サーモンアボカド巻き", 980, "巻物"),
            NewMenuItem("茶碗蒸し", 520, "一品", "銀杏と海老。"),
            NewMenuItem("抹茶アイス", 380, "甘味"),
        ),
    ),
    (
        NewRestaurant(
            name="Ταβέρνα «Το Παλιό Λιμάνι»",
            cuisine="Ελληνική",
            address="Ακτή Κουμουνδούρου 28, Πειραιάς",
        ),
        (
            NewMenuItem("Μουσακάς", 1250, "Κυρίως", "Μελιτζάνα, κιμάς, μπεσαμέλ."),
            NewMenuItem("Χταπόδι στα κάρβουνα", 1680, "Κυρίως", "", available=False),
            NewMenuItem("Χωριάτικη σαλάτα", 790, "Σαλάτες"),
            NewMenuItem("Γαλακτομπούρεκο", 480, "Γλυκά"),
        ),
    ),
    (
        NewRestaurant(
            name="مطعم ياسمين الشام", cuisine="شامي", address="شارع الحمرا ١٢، بيروت", open=False
        ),
        (
            NewMenuItem("شاورما دجاج", 850, "أطباق رئيسية", "مع ثوم وبطاطا."),
            NewMenuItem("تبولة", 560, "مقبلات"),
            NewMenuItem("كنافة نابلسية", 620, "حلويات"),
        ),
    ),
)


def seed(connection: Connection) -> None:
    """Fill empty tables."""
    for restaurant, items in SEED:
        restaurant_id = add_restaurant(connection, restaurant).id
        for item in items:
            add_menu_item(connection, restaurant_id, item)
